//! What descriptors stand for.

use enarx_keep_shim::Error;
use enarx_keep_shim::file::Object;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_REMOVEDIR, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFL, O_APPEND, O_CLOEXEC,
    O_CREAT, O_DIRECTORY, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, POLLIN, POLLNVAL,
    POLLOUT,
};
use linux_raw_sys::ioctl::{FIONBIO, TCGETS};

use crate::both::{Both, error};
use crate::isolation::{OPEN_FILES, isolated};

const STREAMS: [u64; 3] = [2, 3, 4];

const EVENTS: u32 = POLLIN | POLLOUT;

fn control(both: &mut Both, descriptor: i64, command: u32, argument: u32) -> i64 {
    let arguments = [descriptor as u64, command.into(), argument.into()];
    both.must(linux::__NR_fcntl, arguments)
}

#[test]
fn data_of_streams_is_served_elsewhere_and_all_else_here() {
    isolated(|both| {
        let buffer = both.memory.buffer();
        for stream in STREAMS {
            for number in [
                linux::__NR_read,
                linux::__NR_write,
                linux::__NR_readv,
                linux::__NR_writev,
            ] {
                assert_eq!(both.call(number, [stream, buffer, 1]), None);
            }
            let sought = both.must(linux::__NR_lseek, [stream, 0, 0]);
            assert_eq!(sought, error(Error::ESPIPE));
            let terminal = both.must(linux::__NR_ioctl, [stream, TCGETS.into(), buffer]);
            assert_eq!(terminal, error(Error::ENOTTY));
            assert_eq!(both.must(linux::__NR_fsync, [stream]), error(Error::EINVAL));
            assert_eq!(both.must(linux::__NR_fstat, [stream, buffer]), 0);
            let empty = both.memory.string(0, b"");
            let status = [stream, empty, buffer, AT_EMPTY_PATH.into()];
            assert_eq!(both.must(linux::__NR_newfstatat, status), 0);
        }
        assert_eq!(both.call(500, [0]), None, "a call that is not about files");
    });
}

#[test]
fn what_is_open_is_told() {
    isolated(|both| {
        let kinds = [0, 1, 2, 3, 4].map(|number| both.files.descriptor(number).unwrap().object());
        assert!(matches!(
            kinds,
            [
                Object::Null,
                Object::Null,
                Object::Diagnostics,
                Object::Channel(_),
                Object::Attestation
            ]
        ));
        both.at_path(linux::__NR_mkdir, "d", 0o755);
        both.make_file("f", b"");
        let file = both.open("f", O_RDONLY | O_NONBLOCK) as i32;
        let directory = both.open("d", O_RDONLY) as i32;
        let path = both.open("f", O_PATH) as i32;
        let opened = both.files.descriptor(file).unwrap();
        assert!(matches!(opened.object(), Object::File(_)));
        assert_ne!(opened.status_flags() & O_NONBLOCK, 0);
        let opened = both.files.descriptor(directory).unwrap();
        assert!(matches!(opened.object(), Object::Directory(_)));
        assert_eq!(opened.status_flags() & O_NONBLOCK, 0);
        let opened = both.files.descriptor(path).unwrap();
        assert!(matches!(opened.object(), Object::Path(_)));
        for closed in [path + 1, -1, i32::MIN, i32::MAX] {
            assert_eq!(both.files.descriptor(closed).err(), Some(Error::EBADF));
        }
        for descriptor in [path, path + 1] {
            assert_eq!(both.poll(descriptor.into(), EVENTS), POLLNVAL);
        }
        for descriptor in [0, file, directory] {
            assert_eq!(both.poll(descriptor.into(), EVENTS), EVENTS);
        }
    });
}

#[test]
fn duplicates_share_offset_and_status() {
    isolated(|both| {
        let file = both.open("f", O_CREAT | O_RDWR);
        let other = control(both, file, F_DUPFD_CLOEXEC, 20);
        assert_eq!(other, 20);
        assert_eq!(both.write(file, b"together"), 8);
        assert_eq!(both.must(linux::__NR_lseek, [20, 0, 1]), 8);
        assert_eq!(control(both, other, F_SETFL, O_APPEND), 0);
        assert_ne!(control(both, file, F_GETFL, 0) & i64::from(O_APPEND), 0);
        let on = both.memory.fill(0, &1_u32.to_le_bytes());
        assert_eq!(both.must(linux::__NR_ioctl, [20, FIONBIO.into(), on]), 0);
        let status = both.files.descriptor(file as i32).unwrap().status_flags();
        assert_ne!(status & O_NONBLOCK, 0);
        assert_eq!(control(both, other, F_GETFD, 0), 1);
        assert_eq!(both.close(file), 0);
        assert_eq!(both.read(other, 10), Ok(Vec::new()));
        assert_eq!(both.must(linux::__NR_lseek, [20, 0, 0]), 0);
        assert_eq!(both.read(other, 10), Ok(b"together".to_vec()));
    });
}

#[test]
fn no_more_descriptors_than_the_limit_can_be_open() {
    isolated(|both| {
        let mut last = 0;
        while last < OPEN_FILES as i64 - 1 {
            last = both.must(linux::__NR_dup, [0]);
        }
        assert_eq!(both.must(linux::__NR_dup, [0]), error(Error::EMFILE));
        let event = both.must(linux::__NR_eventfd2, [0, O_NONBLOCK.into()]);
        assert_eq!(event, error(Error::EMFILE));
        assert_eq!(both.open("new", O_CREAT | O_RDWR), error(Error::EMFILE));
        both.close(7);
        assert_eq!(
            both.open("new", O_RDONLY),
            error(Error::ENOENT),
            "nothing was created"
        );
        let beyond = control(both, 0, F_DUPFD_CLOEXEC, OPEN_FILES);
        assert_eq!(beyond, error(Error::EINVAL));
        both.close_all(5);
        assert_eq!(both.must(linux::__NR_dup, [0]), 5);
    });
}

#[test]
fn deleted_files_live_as_long_as_they_are_open() {
    isolated(|both| {
        let free = both.files.free_bytes();
        let file = both.open("f", O_CREAT | O_RDWR);
        both.write(file, &[5; 100_000]);
        assert_eq!(both.remove("f", 0), 0);
        assert_eq!(both.open("f", O_RDONLY), error(Error::ENOENT));
        let arguments = [file as u64, both.memory.buffer(), 100_000, 0];
        assert_eq!(both.must(linux::__NR_pread64, arguments), 100_000);
        assert!(both.files.free_bytes() < free);
        let other = both.must(linux::__NR_dup, [file as u64]);
        both.close(file);
        assert!(both.files.free_bytes() < free);
        both.close(other);
        assert_eq!(both.files.free_bytes(), free);
    });
}

#[test]
fn removed_directories_lead_up_but_nowhere_else() {
    isolated(|both| {
        for path in ["a", "a/b"] {
            both.at_path(linux::__NR_mkdir, path, 0o755);
        }
        let removed = both.open("a/b", O_RDONLY | O_DIRECTORY) as u64;
        assert_eq!(both.remove("a/b", AT_REMOVEDIR), 0);
        assert_eq!(both.remove("a", AT_REMOVEDIR), 0);
        let new = both.open_at(removed, "f", O_CREAT | O_WRONLY, 0o644);
        assert_eq!(new, error(Error::ENOENT));
        let up = both.open_at(removed, "..", O_RDONLY | O_DIRECTORY, 0);
        assert_eq!(both.list(up as u64, 4096), None);
        let root = both.open_at(removed, "../..", O_RDONLY | O_DIRECTORY, 0);
        assert!(both.list(root as u64, 4096).is_some());
    });
}

#[test]
fn events_are_counted() {
    isolated(|both| {
        let flags = O_NONBLOCK | O_CLOEXEC;
        let event = both.must(linux::__NR_eventfd2, [3, flags.into()]);
        assert_eq!(both.read(event, 7), Err(error(Error::EINVAL)));
        assert_eq!(both.read(event, 8), Ok(3_u64.to_le_bytes().to_vec()));
        assert_eq!(both.read(event, 8), Err(error(Error::EAGAIN)));
        assert_eq!(both.poll(event, EVENTS), POLLOUT);
        let most = u64::MAX - 1;
        assert_eq!(
            both.write(event, &u64::MAX.to_le_bytes()),
            error(Error::EINVAL)
        );
        assert_eq!(both.write(event, &most.to_le_bytes()), 8);
        assert_eq!(both.poll(event, EVENTS), POLLIN);
        assert_eq!(
            both.write(event, &1_u64.to_le_bytes()),
            error(Error::EAGAIN)
        );
        assert_eq!(both.write(event, &0_u64.to_le_bytes()), 8);
        assert_eq!(both.read(event, 100), Ok(most.to_le_bytes().to_vec()));
    });
}
