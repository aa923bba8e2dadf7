//! The tests.

pub mod image;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use enarx_host_launcher::sgx::SgxBackend;
use enarx_host_launcher::{
    Backend as _, Ended, Isolation, LaunchError, LaunchRequest, LaunchedKeep, Outcome, Simulator,
};
use enarx_host_launcher::{STOPPED_STATUS, become_keep_if_asked};
use enarx_wire_launch::sgx::{EnclaveOptions, layout};
use enarx_wire_launch::{KeepImage, MemoryStrategy, Platform, SgxImage};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use crate::aesm;
use image::Image;

const MEMORY: u64 = 64 << 20;

type Test = fn(&Path);

const TESTS: &[(&str, Test)] = &[
    ("an_enclave_runs_and_ends", an_enclave_runs_and_ends),
    (
        "a_fast_enclave_runs_and_ends_alike",
        a_fast_enclave_runs_and_ends_alike,
    ),
    (
        "a_keep_that_gives_up_is_stopped",
        a_keep_that_gives_up_is_stopped,
    ),
    ("exceptions_reach_the_enclave", exceptions_reach_the_enclave),
    ("a_keep_ends_with_its_handle", a_keep_ends_with_its_handle),
    (
        "a_keep_ends_with_its_launcher",
        a_keep_ends_with_its_launcher,
    ),
    ("processor_time_is_limited", processor_time_is_limited),
    ("the_process_is_confined", the_process_is_confined),
    ("dumps_hold_no_enclave", dumps_hold_no_enclave),
    (
        "starts_and_stops_leave_nothing",
        starts_and_stops_leave_nothing,
    ),
    (
        "a_directory_does_for_namespaces",
        a_directory_does_for_namespaces,
    ),
    (
        "what_cannot_be_launched_says_why",
        what_cannot_be_launched_says_why,
    ),
    (
        "a_quoting_service_gives_target_and_quotes",
        aesm::a_quoting_service_gives_target_and_quotes,
    ),
    (
        "a_busy_service_is_asked_again",
        aesm::a_busy_service_is_asked_again,
    ),
    (
        "a_key_that_was_lost_is_made_again",
        aesm::a_key_that_was_lost_is_made_again,
    ),
    (
        "each_lie_of_a_quoting_service_is_named",
        aesm::each_lie_of_a_quoting_service_is_named,
    ),
    (
        "a_confined_keep_gets_quotes_of_the_service",
        aesm::a_confined_keep_gets_quotes_of_the_service,
    ),
];

/// Runs the tests whose names contain the first argument that is no option.
pub fn main() {
    let image = Image::new();
    become_keep_if_asked(|| image.keep_image());
    if let Some(directory) = std::env::var_os(LAUNCH_ONLY) {
        launch_only(Path::new(&directory));
        return;
    }
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let directory = tempfile::tempdir().unwrap();
    for (name, test) in TESTS {
        if wanted.as_deref().is_none_or(|wanted| name.contains(wanted)) {
            test(directory.path());
            println!("test {name} ... ok");
        }
    }
}

pub fn backend(directory: &Path) -> SgxBackend {
    SgxBackend::new(Some(&directory.join("signatures")))
}

pub fn request<'a>(image: &'a KeepImage<'a>, directory: &'a Path) -> LaunchRequest<'a> {
    LaunchRequest {
        image,
        memory_bytes: MEMORY,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds: None,
        network: false,
        host_data: [3; 32],
        simulator: Some(Simulator::IntelMachine {
            directory,
            fast: false,
        }),
    }
}

fn launch(directory: &Path) -> LaunchedKeep {
    let image = Image::new();
    let image = image.keep_image();
    backend(directory)
        .launch(&request(&image, directory))
        .unwrap()
}

/// Tells the Keep what to do, and waits for its end.
pub fn tell(mut keep: LaunchedKeep, command: u8) -> Ended {
    keep.channel.write_all(&[command]).unwrap();
    keep.process.wait()
}

fn an_enclave_runs_and_ends(directory: &Path) {
    let mut keep = launch(directory);
    assert_eq!(keep.endorsements.len(), 6);
    keep.channel.write_all(b"e").unwrap();
    let mut echo = [0; 4];
    keep.channel.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"echo");
    let ended = tell(keep, b'x');
    assert_eq!(ended.outcome, Outcome::Exited(7), "{ended:?}");
    assert_eq!(ended.diagnostics, "hello");
    // The second launch signs nothing.
    let files = std::fs::read_dir(directory.join("signatures"))
        .unwrap()
        .count();
    assert_eq!(tell(launch(directory), b'x').outcome, Outcome::Exited(7));
    assert_eq!(
        std::fs::read_dir(directory.join("signatures"))
            .unwrap()
            .count(),
        files
    );
}

fn a_fast_enclave_runs_and_ends_alike(directory: &Path) {
    let image = Image::new();
    let image = image.keep_image();
    let request = LaunchRequest {
        simulator: Some(Simulator::IntelMachine {
            directory,
            fast: true,
        }),
        ..request(&image, directory)
    };
    let mut keep = backend(directory).launch(&request).unwrap();
    for _ in 0..3 {
        keep.channel.write_all(b"e").unwrap();
        let mut echo = [0; 4];
        keep.channel.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"echo");
    }
    let ended = tell(keep, b'x');
    assert_eq!(ended.outcome, Outcome::Exited(7), "{ended:?}");
}

fn a_keep_that_gives_up_is_stopped(directory: &Path) {
    let ended = tell(launch(directory), b'a');
    assert_eq!(ended.outcome, Outcome::Exited(STOPPED_STATUS), "{ended:?}");
    assert!(ended.diagnostics.contains("(reason 42)"), "{ended:?}");
}

fn exceptions_reach_the_enclave(directory: &Path) {
    // Its handler gives up with the vector that it was told.
    let ended = tell(launch(directory), b'u');
    assert_eq!(ended.outcome, Outcome::Exited(STOPPED_STATUS), "{ended:?}");
    assert!(ended.diagnostics.contains("(reason 1006)"), "{ended:?}");
}

fn a_keep_ends_with_its_handle(directory: &Path) {
    let mut keep = launch(directory);
    keep.channel.write_all(b"l").unwrap();
    let id = keep.process.id();
    assert!(Path::new(&format!("/proc/{id}")).exists());
    drop(keep);
    assert!(!Path::new(&format!("/proc/{id}")).exists());
}

/// Names a directory for [`launch_only`], which this program does then instead of tests.
const LAUNCH_ONLY: &str = "ENARX_TEST_LAUNCH_ONLY";

/// Launches a Keep that never ends by itself, says which process it is, and waits.
fn launch_only(directory: &Path) {
    let mut keep = launch(directory);
    keep.channel.write_all(b"l").unwrap();
    println!("{}", keep.process.id());
    let _ = keep.process.wait();
}

fn a_keep_ends_with_its_launcher(directory: &Path) {
    let mut launcher = Command::new(std::env::current_exe().unwrap())
        .env(LAUNCH_ONLY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(launcher.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let id = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    let keep = rustix::process::pidfd_open(id, PidfdFlags::empty()).unwrap();
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let mut ended = [PollFd::new(&keep, PollFlags::IN)];
    let long = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    assert_eq!(rustix::event::poll(&mut ended, Some(&long)).unwrap(), 1);
}

fn processor_time_is_limited(directory: &Path) {
    let image = Image::new();
    let image = image.keep_image();
    let request = LaunchRequest {
        cpu_seconds: Some(1),
        ..request(&image, directory)
    };
    let keep = backend(directory).launch(&request).unwrap();
    let ended = tell(keep, b'l');
    assert_eq!(ended.outcome, Outcome::CpuLimit, "{ended:?}");
    assert!(ended.cpu_time >= Duration::from_millis(400));
}

fn the_process_is_confined(directory: &Path) {
    let keep = launch(directory);
    let about = |what: &str| {
        let path = format!("/proc/{}/{what}", keep.process.id());
        std::fs::read_to_string(path).unwrap()
    };
    let status = about("status");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    if keep.isolation == Isolation::Namespaces {
        let mounts = about("mounts");
        assert_eq!(mounts.lines().count(), 1, "{mounts}");
        assert!(mounts.starts_with("enarx-keep / tmpfs"), "{mounts}");
    }
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", keep.process.id()));
    let mut open: Vec<i32> = descriptors
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    open.sort_unstable();
    // Standard streams, the channel, what the simulator keeps of the enclave's memory, and
    // where each thread waits.
    let most = 6 + EnclaveOptions::THREADS as usize;
    assert_eq!(open[..4], [0, 1, 2, 3], "{open:?}");
    assert!(open.len() <= most, "{open:?}");
}

/// A core dump is a file that the host reads. The kernel leaves real enclaves out by itself.
fn dumps_hold_no_enclave(directory: &Path) {
    let keep = launch(directory);
    let about = |what: &str| {
        let path = format!("/proc/{}/{what}", keep.process.id());
        std::fs::read_to_string(path).unwrap()
    };
    let limits = about("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let core: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    // Whoever raises that limit finds the enclave left out (proc_pid_smaps(5), `dd`).
    let mut in_enclave = false;
    let mut left_out = 0;
    for line in about("smaps").lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap();
        if let Some((start, _)) = first.split_once('-') {
            let start = u64::from_str_radix(start, 16).unwrap();
            in_enclave = start < layout::ENCLAVE_SIZE;
        } else if first == "VmFlags:" && in_enclave {
            assert!(words.any(|flag| flag == "dd"), "{line}");
            left_out += 1;
        }
    }
    assert!(left_out > 5, "{left_out}");
    assert_eq!(tell(keep, b'x').outcome, Outcome::Exited(7));
}

/// How often a Keep is started and ended; `ENARX_TEST_STARTS` says otherwise.
const STARTS: usize = 200;

fn starts_and_stops_leave_nothing(directory: &Path) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kibibytes.parse::<usize>().unwrap()
    };
    let starts = std::env::var("ENARX_TEST_STARTS").map_or(STARTS, |text| text.parse().unwrap());
    let state = || {
        (
            count("/proc/self/fd"),
            count("/proc/self/task"),
            count(directory.to_str().unwrap()),
            count(directory.join("signatures").to_str().unwrap()),
        )
    };
    let start = |index: usize| {
        let keep = launch(directory);
        // Some end by themselves, some fail, some are ended.
        match index % 3 {
            0 => assert_eq!(tell(keep, b'x').outcome, Outcome::Exited(7)),
            1 => assert_eq!(tell(keep, b'a').outcome, Outcome::Exited(STOPPED_STATUS)),
            _ => drop(keep),
        }
    };
    // What is kept for later is made.
    (0..20).for_each(start);
    let (before, resident_before) = (state(), resident());
    (0..starts).for_each(start);
    // A thread that has seen its Keep off may still be ending.
    let end = Instant::now() + Duration::from_secs(60);
    while state() != before {
        assert!(Instant::now() < end, "{:?} instead of {before:?}", state());
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = resident().saturating_sub(resident_before);
    assert!(grown < 8 << 10, "{grown} KiB after {starts} starts");
    println!("{starts} starts and stops left nothing; memory grew by {grown} KiB");
}

fn a_directory_does_for_namespaces(directory: &Path) {
    let image = Image::new();
    let image = image.keep_image();
    let backend = backend(directory).without_namespaces();
    let keep = backend.launch(&request(&image, directory)).unwrap();
    let Isolation::Directory { path, .. } = keep.isolation.clone() else {
        panic!("{:?}", keep.isolation)
    };
    assert!(path.exists());
    assert_eq!(tell(keep, b'x').outcome, Outcome::Exited(7));
    assert!(!path.exists());
}

fn what_cannot_be_launched_says_why(directory: &Path) {
    let image = Image::new();
    let image = image.keep_image();
    let backend = backend(directory);
    assert_eq!(backend.platform(), Platform::Sgx);
    let failed = |request: &LaunchRequest<'_>| backend.launch(request).err().unwrap();

    let without_shim = KeepImage {
        sgx: SgxImage::default(),
        ..image
    };
    assert!(matches!(
        failed(&request(&without_shim, directory)),
        LaunchError::NoShim
    ));
    let no_program = KeepImage {
        runtime: b"no program",
        ..image
    };
    assert!(matches!(
        failed(&request(&no_program, directory)),
        LaunchError::Pages(_)
    ));
    let too_small = LaunchRequest {
        memory_bytes: 1 << 20,
        ..request(&image, directory)
    };
    assert!(matches!(failed(&too_small), LaunchError::MemoryTooSmall(_)));
    // The Keep's process has the image of its program, which this one is not.
    let other = KeepImage {
        runtime_digest: [9; 48],
        ..image
    };
    let error = failed(&request(&other, directory));
    assert!(
        matches!(&error, LaunchError::Enclave(reason) if reason.contains("EINIT")),
        "{error}"
    );
    if !Path::new("/dev/sgx_enclave").exists() {
        let hardware = LaunchRequest {
            simulator: None,
            ..request(&image, directory)
        };
        let error = failed(&hardware);
        assert!(error.to_string().contains("--simulate"), "{error}");
    }
}
