//! A thread with descriptors, root and working directory of its own.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::chroot;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::both::{Both, system_call};

/// How many descriptors can be open, here and there.
pub const OPEN_FILES: u32 = 512;

/// Runs a test as [`each_isolated`] does, once.
pub fn isolated(test: impl FnOnce(&mut Both) + Send + 'static) {
    each_isolated([test], |both, test| test(both));
}

/// Runs a test with each of some values, where an empty directory is the root and the descriptors are those that a
/// runtime is started with.
///
/// What some calls answer differs between kernels; those before 6.12 are too different.
pub fn each_isolated<T: Send + 'static>(
    values: impl IntoIterator<Item = T>,
    test: impl Fn(&mut Both, T) + Clone + Send + 'static,
) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(12)) {
        println!("not run: needs Linux 6.12 or later");
        return;
    }
    if is_root() {
        for value in values {
            let test = test.clone();
            run(move |both| test(both, value));
        }
        return;
    }
    let mapped = || {
        let mut command = Command::new("unshare");
        command.arg("--map-root-user");
        command
    };
    if !mapped()
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("not run: needs to be root, or namespaces of users");
        return;
    }
    // Test threads are named after their tests.
    let this = std::thread::current();
    let mut again = mapped();
    again.arg(std::env::current_exe().unwrap());
    again.args(["--exact", this.name().unwrap(), "--nocapture"]);
    assert!(again.status().unwrap().success());
}

fn is_root() -> bool {
    system_call(libc::SYS_geteuid as u64, [0; 6]) == 0
}

fn run(test: impl FnOnce(&mut Both) + Send + 'static) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let root = directory.path().to_owned();
    let [input, output] = [(); 2].map(|()| {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open("/dev/null").unwrap()
    });
    let (_diagnostics_reader, diagnostics) = std::io::pipe().unwrap();
    let (_host, channel) = UnixStream::pair().unwrap();
    channel.set_nonblocking(true).unwrap();
    let (_device, attestation) = UnixStream::pair().unwrap();
    let descriptors = [
        input.as_raw_fd(),
        output.as_raw_fd(),
        diagnostics.as_raw_fd(),
        channel.as_raw_fd(),
        attestation.as_raw_fd(),
    ];
    let thread = std::thread::spawn(move || {
        let flags = (libc::CLONE_FILES | libc::CLONE_FS) as u64;
        must(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]);
        let limit = [u64::from(OPEN_FILES); 2];
        let resource = u64::from(libc::RLIMIT_NOFILE);
        let limit = limit.as_ptr() as u64;
        must(libc::SYS_prlimit64, [0, resource, limit, 0, 0, 0]);
        let above = |descriptor: i32| {
            let duplicate = libc::F_DUPFD as u64;
            must(
                libc::SYS_fcntl,
                [descriptor as u64, duplicate, 100, 0, 0, 0],
            )
        };
        for (number, descriptor) in descriptors.map(above).into_iter().enumerate() {
            must(libc::SYS_dup2, [descriptor, number as u64, 0, 0, 0, 0]);
        }
        must(libc::SYS_close_range, [5, u64::from(u32::MAX), 0, 0, 0, 0]);
        chroot(&root).unwrap();
        must(libc::SYS_chdir, [c"/".as_ptr() as u64, 0, 0, 0, 0, 0]);
        must(libc::SYS_umask, [0o022, 0, 0, 0, 0, 0]);
        must(libc::SYS_chmod, [c"/".as_ptr() as u64, 0o755, 0, 0, 0, 0]);
        test(&mut Both::new());
    });
    if let Err(payload) = thread.join() {
        // The thread's own words may have gone to a descriptor of the test.
        let words = payload.downcast_ref::<String>().map(String::as_str);
        let words = words.or(payload.downcast_ref::<&str>().copied());
        panic!("{}", words.unwrap_or("a test panicked"));
    }
}

fn must(number: i64, arguments: [u64; 6]) -> u64 {
    let result = system_call(number as u64, arguments);
    assert!(result >= 0, "call {number} failed: {result}");
    result as u64
}
