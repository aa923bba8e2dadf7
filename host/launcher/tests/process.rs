//! The `process` backend with a small Keep of the tests' own: what it finds around
//! itself, what it can and cannot do, and what is left when it has ended.
#![cfg(target_arch = "x86_64")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use enarx_host_launcher::process::ProcessBackend;
use enarx_host_launcher::{
    Backend, Isolation, LaunchError, LaunchRequest, LaunchedKeep, Outcome, Simulator,
};
use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_launch::{KeepImage, LaunchPage, MemoryStrategy, Platform};

const MEMORY: u64 = 64 << 20;

struct Fixture {
    keep: Vec<u8>,
    digest: [u8; 48],
    processor: Arc<SecureProcessor>,
    directory: tempfile::TempDir,
}

/// The compiled Keep and a simulated processor, made once.
fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("keep");
        let status = Command::new("cc")
            .args(
                "-O1 -static-pie -nostdlib -ffreestanding -fno-builtin -fno-stack-protector"
                    .split(' '),
            )
            .arg("-o")
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keep/keep.c"))
            .status()
            .expect("these tests need a C compiler named cc");
        assert!(status.success());
        let keep = std::fs::read(program).unwrap();
        let mut digest = [0; 48];
        digest
            .copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, &keep).as_ref());
        Fixture {
            keep,
            digest,
            processor: Arc::new(SecureProcessor::open(directory.path()).unwrap()),
            directory,
        }
    })
}

fn launch_with(backend: &ProcessBackend, cpu_seconds: Option<u64>) -> LaunchedKeep {
    launch_networked(backend, cpu_seconds, false)
}

fn launch_networked(
    backend: &ProcessBackend,
    cpu_seconds: Option<u64>,
    network: bool,
) -> LaunchedKeep {
    backend
        .launch(&request(&image(), cpu_seconds, network))
        .unwrap()
}

fn image() -> KeepImage<'static> {
    let fixture = fixture();
    KeepImage {
        runtime: &fixture.keep,
        runtime_digest: fixture.digest,
        sgx: enarx_wire_launch::SgxImage::default(),
        vm: enarx_wire_launch::VmImage::default(),
    }
}

fn request<'a>(
    image: &'a KeepImage<'a>,
    cpu_seconds: Option<u64>,
    network: bool,
) -> LaunchRequest<'a> {
    LaunchRequest {
        image,
        memory_bytes: MEMORY,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds,
        network,
        host_data: [0x33; 32],
        simulator: Some(Simulator::SecureProcessor(&fixture().processor)),
    }
}

fn launch() -> LaunchedKeep {
    launch_with(&ProcessBackend::new(None), None)
}

fn launch_in_directory() -> LaunchedKeep {
    launch_with(&ProcessBackend::new(None).without_namespaces(), None)
}

/// Sends a command and reads as many answers.
fn ask<const N: usize>(keep: &mut LaunchedKeep, command: &[u8]) -> [i64; N] {
    keep.channel.write_all(command).unwrap();
    std::array::from_fn(|_| {
        let mut answer = [0; 8];
        keep.channel.read_exact(&mut answer).unwrap();
        i64::from_le_bytes(answer)
    })
}

fn system_call(number: i64, arguments: [i64; 3]) -> Vec<u8> {
    let mut command = vec![b's'];
    for value in [number].into_iter().chain(arguments) {
        command.extend(value.to_le_bytes());
    }
    command
}

fn error(number: i32) -> i64 {
    -i64::from(number)
}

#[test]
fn a_keep_finds_five_descriptors_and_no_environment() {
    // Descriptors that the host leaks on purpose.
    let leaked = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    for mut keep in [launch(), launch_in_directory()] {
        assert_eq!(ask(&mut keep, b"d"), [0b1_1111, error(libc::EBADF)]);
        assert_eq!(ask(&mut keep, b"a"), [1, 0]);
    }
}

#[test]
fn the_system_agrees_about_the_keeps_confinement() {
    for keep in [launch(), launch_in_directory()] {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", keep.process.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].trim_matches([':', '\t']).to_owned()
        };
        assert_eq!(field("NoNewPrivs"), "1");
        assert_eq!(field("Seccomp"), "2");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!(field("SigIgn"), "0000000000000000");
        assert_eq!(field("SigBlk"), "0000000000000000");
        assert_eq!(field("CoreDumping"), "0");
        let limits =
            std::fs::read_to_string(format!("/proc/{}/limits", keep.process.id())).unwrap();
        let data = limits
            .lines()
            .find(|line| line.starts_with("Max data size"));
        assert!(data.unwrap().contains(&MEMORY.to_string()));
    }
}

#[test]
fn a_keep_cannot_be_read_by_its_own_user() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root can read everything");
        return;
    }
    for mut keep in [launch(), launch_in_directory()] {
        assert_eq!(ask(&mut keep, b"a"), [1, 0]);
        let memory = std::fs::File::open(format!("/proc/{}/mem", keep.process.id()));
        let error = memory.expect_err("the Keep is not dumpable");
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_keep_in_namespaces_is_nobody_alone_in_an_empty_root() {
    let mut keep = launch();
    if let Isolation::Directory { reason, .. } = &keep.isolation {
        println!("skipped: {reason}");
        return;
    }
    assert_eq!(ask(&mut keep, b"u"), [65534, 1]);
    assert_eq!(ask(&mut keep, b"o"), [error(libc::ENOENT); 2]);
    assert_eq!(ask(&mut keep, b"f"), [3]);
}

#[test]
fn a_keep_in_a_directory_leaves_no_directory() {
    let mut keep = launch_in_directory();
    let Isolation::Directory { path, .. } = keep.isolation.clone() else {
        panic!("asked for a directory");
    };
    assert_eq!(ask(&mut keep, b"f"), [3]);
    assert_eq!(std::fs::read(path.join("keep/files/x")).unwrap(), b"abc");
    drop(keep);
    assert!(!path.exists());
}

#[test]
fn calls_that_are_not_listed_do_not_exist() {
    let mut keep = launch();
    for (call, arguments) in [
        (
            libc::SYS_socket,
            [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0],
        ),
        (libc::SYS_kill, [1, 9, 0]),
        (libc::SYS_clone3, [0, 0, 0]),
        (libc::SYS_fork, [0, 0, 0]),
        (libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0]),
        (libc::SYS_clone, [libc::CLONE_NEWUSER.into(), 0, 0]),
        (libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE.into(), 1]),
        (libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0]),
        (libc::SYS_ioctl, [3, 0x5412, 0]),
        (libc::SYS_execveat, [3, 0, 0]),
        (libc::SYS_seccomp, [1, 0, 0]),
    ] {
        let answer = ask(&mut keep, &system_call(call, arguments));
        assert_eq!(answer, [error(libc::ENOSYS)], "call {call}");
    }
}

#[test]
fn a_network_is_tcp_and_udp_and_nothing_else() {
    let mut keep = launch_networked(&ProcessBackend::new(None), None, true);
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let mut ask = |call, arguments: [i32; 3]| {
        let [answer] = ask(&mut keep, &system_call(call, arguments.map(i64::from)));
        answer
    };
    let socket = |family, kind, protocol| (libc::SYS_socket, [family, kind, protocol]);
    let missing = error(libc::ENOSYS);
    for (call, arguments) in [
        socket(libc::AF_INET, libc::SOCK_STREAM, 0),
        socket(libc::AF_INET, libc::SOCK_RAW | flags, libc::IPPROTO_ICMP),
        socket(libc::AF_INET, libc::SOCK_DGRAM | flags, libc::IPPROTO_ICMP),
        socket(libc::AF_INET, libc::SOCK_STREAM | flags, libc::IPPROTO_SCTP),
        socket(
            libc::AF_INET6,
            libc::SOCK_STREAM | flags,
            libc::IPPROTO_MPTCP,
        ),
        socket(libc::AF_UNIX, libc::SOCK_STREAM | flags, 0),
        socket(libc::AF_NETLINK, libc::SOCK_DGRAM | flags, 0),
    ] {
        assert_eq!(ask(call, arguments), missing, "{arguments:?}");
    }
    let made = ask(
        libc::SYS_socket,
        [libc::AF_INET, libc::SOCK_STREAM | flags, libc::IPPROTO_TCP],
    );
    let made = i32::try_from(made).unwrap();
    assert!(made >= 0, "{made}");
    let set = |level, name| (libc::SYS_setsockopt, [made, level, name]);
    for (call, arguments) in [
        set(libc::IPPROTO_TCP, libc::TCP_ULP),
        set(libc::IPPROTO_TCP, libc::TCP_REPAIR),
        set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        set(libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
        set(libc::IPPROTO_IP, libc::IP_TRANSPARENT),
    ] {
        assert_eq!(ask(call, arguments), missing, "{arguments:?}");
    }
    // Allowed, and wrong without a value.
    let (call, arguments) = set(libc::IPPROTO_TCP, libc::TCP_NODELAY);
    assert_eq!(ask(call, arguments), error(libc::EINVAL));
}

#[test]
fn the_one_execution_cannot_be_repeated() {
    /// The descriptor that the runtime was executed from.
    const IMAGE: i64 = 2040;
    let mut keep = launch();
    // The filter allows the call, but the descriptor is gone and stays out of reach.
    let answer = ask(&mut keep, &system_call(libc::SYS_dup2, [3, IMAGE, 0]));
    assert_eq!(answer, [error(libc::EBADF)]);
    let answer = ask(&mut keep, &system_call(libc::SYS_fcntl, [3, 0, IMAGE]));
    assert_eq!(answer, [error(libc::EINVAL)]);
}

#[test]
fn dangerous_calls_end_the_keep() {
    for call in [
        libc::SYS_execve,
        libc::SYS_ptrace,
        libc::SYS_mount,
        libc::SYS_bpf,
    ] {
        let mut keep = launch();
        keep.channel.write_all(&system_call(call, [0; 3])).unwrap();
        assert_eq!(
            keep.process.wait().outcome,
            Outcome::ForbiddenCall,
            "call {call}"
        );
    }
}

#[test]
fn memory_is_limited() {
    let mut keep = launch();
    assert_eq!(ask(&mut keep, &[b'm', 32]), [0]);
    assert_eq!(ask(&mut keep, &[b'm', 40]), [error(libc::ENOMEM)]);
}

#[test]
fn processor_time_is_limited() {
    for backend in [
        ProcessBackend::new(None),
        ProcessBackend::new(None).without_namespaces(),
    ] {
        let mut keep = launch_with(&backend, Some(1));
        keep.channel.write_all(b"l").unwrap();
        let ended = keep.process.wait();
        assert_eq!(ended.outcome, Outcome::CpuLimit);
        assert!(ended.cpu_time >= Duration::from_millis(500));
    }
}

#[test]
fn ends_are_reported() {
    let mut keep = launch();
    assert_eq!(keep.process.try_wait(), None);
    keep.channel.write_all(b"x\x07").unwrap();
    let ended = keep.process.wait();
    assert_eq!(ended.outcome, Outcome::Exited(7));
    assert_eq!(keep.process.try_wait(), Some(ended));

    let keep = launch();
    drop(keep.channel);
    assert_eq!(keep.process.wait().outcome, Outcome::Exited(0));

    let keep = launch();
    keep.process.kill();
    assert_eq!(
        keep.process.wait().outcome,
        Outcome::Signaled(libc::SIGKILL)
    );
    keep.process.kill();
}

#[test]
fn the_pidfd_tells_an_event_loop() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let keep = launch();
    let mut polled = [PollFd::from_borrowed_fd(
        keep.process.pidfd(),
        PollFlags::IN,
    )];
    assert_eq!(poll(&mut polled, Some(&Timespec::default())), Ok(0));
    keep.process.kill();
    assert_eq!(poll(&mut polled, None), Ok(1));
}

#[test]
fn diagnostics_are_bounded_and_never_block_the_keep() {
    let mut keep = launch();
    assert_eq!(ask(&mut keep, b"e"), [0]);
    keep.channel.write_all(b"x\0").unwrap();
    let ended = keep.process.wait();
    assert_eq!(ended.diagnostics.len(), 64 << 10);
    assert!(ended.diagnostics.bytes().all(|byte| byte == b'x'));
    assert!(ended.diagnostics_truncated);
}

#[test]
fn the_attestation_device_describes_and_reports() {
    let fixture = fixture();
    let mut keep = launch();
    let [status, size] = ask(&mut keep, &[b'D', 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((status, size), (0, 4096));
    let mut page = [0; 4096];
    keep.channel.read_exact(&mut page).unwrap();
    let page = LaunchPage::decode(&page).unwrap();
    assert_eq!(page.platform, Platform::Process);
    assert_eq!(page.memory_bytes, MEMORY);
    assert_eq!(page.runtime_digest, fixture.digest);

    let mut report = || {
        let command = [&[b'E', 2, 0, 0, 0, 64, 0, 0, 0][..], &[0x5A; 64]].concat();
        assert_eq!(ask(&mut keep, &command), [0, 1184]);
        let mut report = [0; 1184];
        keep.channel.read_exact(&mut report).unwrap();
        report
    };
    let (first, second) = (report(), report());
    let image = KeepImage {
        runtime: &fixture.keep,
        runtime_digest: fixture.digest,
        sgx: enarx_wire_launch::SgxImage::default(),
        vm: enarx_wire_launch::VmImage::default(),
    };
    let measurement = enarx_wire_launch::process_launch_digest(&image, MEMORY);
    assert_eq!(first[0x50..0x90], [0x5A; 64]);
    assert_eq!(first[0x90..0xC0], measurement);
    assert_eq!(first[0xC0..0xE0], [0x33; 32]);
    assert_eq!(first[0x140..0x160], second[0x140..0x160]);

    let kinds: Vec<_> = keep
        .endorsements
        .iter()
        .map(|found| found.kind.as_str())
        .collect();
    assert_eq!(kinds, ["snp-vcek", "snp-ask", "snp-ark"]);
    assert_eq!(
        keep.endorsements[0].bytes,
        fixture.processor.certificates().vcek
    );
}

#[test]
fn requests_that_cannot_be_served_are_refused() {
    let fixture = fixture();
    let image = KeepImage {
        runtime: b"not an executable",
        runtime_digest: fixture.digest,
        sgx: enarx_wire_launch::SgxImage::default(),
        vm: enarx_wire_launch::VmImage::default(),
    };
    let request = LaunchRequest {
        image: &image,
        memory_bytes: MEMORY,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds: None,
        network: false,
        host_data: [0; 32],
        simulator: Some(Simulator::SecureProcessor(&fixture.processor)),
    };
    let refused =
        |request: &LaunchRequest<'_>| ProcessBackend::new(None).launch(request).unwrap_err();
    let failed = refused(&request);
    assert!(matches!(failed, LaunchError::Child { .. }), "{failed}");
    assert!(
        failed.to_string().contains("execute the runtime"),
        "{failed}"
    );
    assert!(matches!(
        refused(&LaunchRequest {
            memory_bytes: 1 << 20,
            ..request
        }),
        LaunchError::MemoryTooSmall(_)
    ));
    let failed = refused(&LaunchRequest {
        simulator: None,
        ..request
    });
    assert!(failed.to_string().contains("--simulate"), "{failed}");
}

/// Descriptors and children are counted for the whole process, so everything that
/// counts them is one test, which runs in a process of its own.
#[test]
fn two_hundred_launches_leave_nothing_behind_and_are_quick() {
    const MARK: &str = "ENARX_LAUNCHER_TEST_ALONE";
    if std::env::var_os(MARK).is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "two_hundred_launches_leave_nothing_behind_and_are_quick",
            ])
            .env(MARK, "1")
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }

    let fixture = fixture();
    let cache = fixture.directory.path().join("images");
    for (name, backend) in [
        ("namespaces", ProcessBackend::new(None)),
        ("namespaces, image cache", ProcessBackend::new(Some(&cache))),
        ("directory", ProcessBackend::new(None).without_namespaces()),
    ] {
        let has_namespaces = launch_with(&backend, None).isolation == Isolation::Namespaces;
        let before = descriptors();
        let (mut starts, mut answers, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            let start = Instant::now();
            let mut keep = launch_with(&backend, None);
            starts.push(start.elapsed());
            assert_eq!(ask(&mut keep, b"a"), [1, 0]);
            answers.push(start.elapsed());
            let directory = match &keep.isolation {
                Isolation::Directory { path, .. } => Some(path.clone()),
                Isolation::Namespaces => None,
            };
            let end = Instant::now();
            drop(keep);
            ends.push(end.elapsed());
            assert!(directory.is_none_or(|path| !path.exists()));
        }
        println!(
            "{name}: launch {:?}, first answer {:?}, end {:?} (medians of 200)",
            median(&mut starts),
            median(&mut answers),
            median(&mut ends)
        );
        for cpu_seconds in [None, Some(100)] {
            backend.prepare(&request(&image(), None, false));
            let prepared = has_namespaces.then(first_child);
            let mut keep = launch_with(&backend, cpu_seconds);
            assert_eq!(ask(&mut keep, b"a"), [1, 0]);
            // It is taken by the launch that it was prepared for, and ends before any other.
            let taken = prepared == Some(keep.process.id());
            assert_eq!(taken, has_namespaces && cpu_seconds.is_none(), "{name}");
            assert_eq!(children(), [keep.process.id()], "{name}");
        }
        assert_eq!(descriptors(), before, "{name}");
        assert_eq!(children(), [0; 0], "{name}");
        backend.prepare(&request(&image(), None, false));
        drop(backend);
        assert_eq!(children(), [0; 0], "{name}: prepared");
    }
}

#[test]
fn a_prepared_keep_is_confined_as_it_was_asked_for() {
    let backend = ProcessBackend::new(None);
    backend.prepare(&request(&image(), None, true));
    let mut keep = launch_networked(&backend, None, true);
    let socket = system_call(
        libc::SYS_socket,
        [
            libc::AF_INET.into(),
            (libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC).into(),
            0,
        ],
    );
    let [made] = ask(&mut keep, &socket);
    assert!(made > 4, "{made}");
    backend.prepare(&request(&image(), None, true));
    let mut keep = launch_networked(&backend, None, false);
    assert_eq!(ask(&mut keep, &socket), [error(libc::ENOSYS)]);
}

#[test]
fn launches_from_many_threads_are_independent() {
    let backend = ProcessBackend::new(None);
    std::thread::scope(|scope| {
        for number in 0..8u8 {
            let backend = &backend;
            scope.spawn(move || {
                for _ in 0..10 {
                    let mut keep = launch_with(backend, None);
                    keep.channel.write_all(&[b'x', number]).unwrap();
                    assert_eq!(keep.process.wait().outcome, Outcome::Exited(number.into()));
                }
            });
        }
    });
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this process, zombies included.
fn children() -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let Ok(children) = std::fs::read_to_string(path) else {
            continue;
        };
        found.extend(
            children
                .split_whitespace()
                .map(|id| id.parse::<u32>().unwrap()),
        );
    }
    found
}

/// The one child that another thread makes.
fn first_child() -> u32 {
    loop {
        if let [child] = children()[..] {
            return child;
        }
        std::thread::yield_now();
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
