//! What happens when there is no memory left for files. Only in the Keep.

use enarx_keep_shim::Error;
use enarx_keep_shim::file::{Files, Limits};
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{AT_REMOVEDIR, O_CREAT, O_RDWR};

use crate::both::{HERE, NOW};
use crate::memory::Memory;

struct Small {
    files: Files,
    memory: Memory,
}

impl Small {
    fn new(bytes: u64) -> Self {
        Self {
            files: Files::new(Limits {
                open_files: 16,
                bytes,
                heap_has_room: || true,
            }),
            memory: Memory::new(),
        }
    }

    fn call<const N: usize>(&mut self, number: u32, arguments: [u64; N]) -> Result<u64, Error> {
        let mut all = [0; 6];
        all[..N].copy_from_slice(&arguments);
        self.files.call(&self.memory, number, all, NOW).unwrap()
    }

    fn at_path(&mut self, number: u32, path: &str, argument: u64) -> Result<u64, Error> {
        let path = self.memory.string(0, path.as_bytes());
        self.call(number, [path, argument])
    }

    fn create(&mut self, path: &str) -> Result<u64, Error> {
        let path = self.memory.string(0, path.as_bytes());
        let flags = (O_CREAT | O_RDWR).into();
        self.call(linux::__NR_openat, [HERE, path, flags, 0o644])
    }

    fn remove(&mut self, path: &str, flags: u32) -> Result<u64, Error> {
        let path = self.memory.string(0, path.as_bytes());
        self.call(linux::__NR_unlinkat, [HERE, path, flags.into()])
    }
}

#[test]
fn a_full_file_system_says_so_and_recovers() {
    let mut small = Small::new(1 << 20);
    let file = small.create("f").unwrap();
    let buffer = small.memory.buffer();
    let mut written = 0;
    let full = loop {
        match small.call(linux::__NR_write, [file, buffer, 100_000]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(full, Error::ENOSPC);
    assert!((900_000..1 << 20).contains(&written), "{written}");
    assert_eq!(small.call(linux::__NR_lseek, [file, 0, 2]), Ok(written));
    // What there is can still be moved, read, and made less.
    assert_eq!(
        small.call(linux::__NR_pwrite64, [file, buffer, 100_000, 5]),
        Ok(100_000)
    );
    assert_eq!(small.call(linux::__NR_ftruncate, [file, 0]), Ok(0));
    assert_eq!(
        small.call(linux::__NR_pwrite64, [file, buffer, 100_000, 0]),
        Ok(100_000)
    );
}

#[test]
fn names_nodes_and_holes_use_memory_too() {
    let mut small = Small::new(256 << 10);
    let made = (0..).find(|number| {
        let result = small.at_path(linux::__NR_mkdir, &format!("d{number}"), 0o755);
        result == Err(Error::ENOSPC)
    });
    let made = made.unwrap();
    assert!((100..2000).contains(&made), "{made}");
    assert_eq!(small.create("f"), Err(Error::ENOSPC));
    for number in 0..made {
        let path = format!("d{number}");
        assert_eq!(small.remove(&path, AT_REMOVEDIR), Ok(0));
    }
    let file = small.create("f").unwrap();
    let links = (0..).find(|number| {
        let from = small.memory.string(0, b"f");
        let to = small.memory.string(1, format!("l{number}").as_bytes());
        small.call(linux::__NR_linkat, [HERE, from, HERE, to, 0]) == Err(Error::ENOSPC)
    });
    assert!((100..2000).contains(&links.unwrap()));
    // One byte in each of many places.
    let buffer = small.memory.buffer();
    assert_eq!(small.remove("l0", 0), Ok(0));
    let writes = (1..).find(|place| {
        let arguments = [file, buffer, 1, place << 20];
        small.call(linux::__NR_pwrite64, arguments) == Err(Error::ENOSPC)
    });
    assert!(writes.unwrap() < 10);
}

#[test]
fn replacing_needs_no_more_memory_than_there_is() {
    let mut small = Small::new(64 << 10);
    for name in ["one", "two"] {
        let file = small.create(name).unwrap();
        small.call(linux::__NR_close, [file]).unwrap();
    }
    let mut number = 0;
    while small
        .at_path(linux::__NR_mkdir, &format!("d{number}"), 0)
        .is_ok()
    {
        number += 1;
    }
    let (from, to) = (
        small.memory.string(0, b"one"),
        small.memory.string(1, b"two"),
    );
    assert_eq!(
        small.call(linux::__NR_renameat, [HERE, from, HERE, to]),
        Ok(0)
    );
    let buffer = small.memory.buffer();
    assert_eq!(
        small.call(linux::__NR_newfstatat, [HERE, to, buffer, 0]),
        Ok(0)
    );
    assert_eq!(
        small.call(linux::__NR_newfstatat, [HERE, from, buffer, 0]),
        Err(Error::ENOENT)
    );
}
