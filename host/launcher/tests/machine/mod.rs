//! The tests.

use std::arch::global_asm;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use enarx_host_launcher::kvm::KvmBackend;
use enarx_host_launcher::{
    Backend as _, Ended, Isolation, LaunchError, LaunchRequest, LaunchedKeep, Outcome, Simulator,
    become_keep_if_asked,
};
use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_launch::vm::file_digest;
use enarx_wire_launch::{KeepImage, MemoryStrategy, Platform, SgxImage, VmImage};

use crate::elf::{Part, static_pie};

const MEMORY: u64 = 64 << 20;

const TESTS: &[(&str, fn())] = &[
    ("a_machine_runs_and_ends", || {
        runs_and_ends(&KvmBackend::new())
    }),
    ("a_machine_in_played_snp_runs_and_ends", || {
        runs_and_ends(&KvmBackend::snp(None));
    }),
    ("a_machine_in_played_tdx_runs_and_ends", || {
        runs_and_ends(&KvmBackend::tdx());
    }),
    (
        "a_trust_domain_reports_what_was_measured_since",
        a_trust_domain_reports_what_was_measured_since,
    ),
    (
        "a_trust_domain_has_room_below_its_first_instruction",
        a_trust_domain_has_room_below_its_first_instruction,
    ),
    ("faults_end_the_runtime", faults_end_the_runtime),
    ("no_memory_has_two_addresses", no_memory_has_two_addresses),
    ("a_keep_ends_with_its_handle", a_keep_ends_with_its_handle),
    ("processor_time_is_limited", processor_time_is_limited),
    ("the_process_is_confined", the_process_is_confined),
    (
        "a_directory_does_for_namespaces",
        a_directory_does_for_namespaces,
    ),
    (
        "what_cannot_be_launched_says_why",
        what_cannot_be_launched_says_why,
    ),
    (
        "starts_and_stops_leave_nothing",
        starts_and_stops_leave_nothing,
    ),
];

/// Runs the tests whose names contain the first argument that is no option.
pub fn main() {
    let runtime = runtime();
    become_keep_if_asked(|| image(&runtime));
    if let Err(error) = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
    {
        println!("nothing tried: /dev/kvm: {error}");
        return;
    }
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for (name, test) in TESTS {
        if wanted.as_deref().is_none_or(|wanted| name.contains(wanted)) {
            test();
            println!("test {name} ... ok");
        }
    }
}

// The runtime: says hello, reads a byte of the channel, and does what it says.
global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "enarx_test_runtime:",
    "mov eax, 1",
    "mov edi, 2",
    "lea rsi, [rip + 9f]",
    "mov edx, 5",
    "syscall",
    // Waits until there is one: poll with an entry for descriptor 3 and POLLIN.
    "1: mov dword ptr [rsp - 64], 3",
    "mov dword ptr [rsp - 60], 1",
    "mov eax, 7",
    "lea rdi, [rsp - 64]",
    "mov esi, 1",
    "mov edx, -1",
    "syscall",
    "xor eax, eax",
    "mov edi, 3",
    "lea rsi, [rsp - 64]",
    "mov edx, 1",
    "syscall",
    "cmp rax, 1",
    "jne 3f",
    "mov al, [rsp - 64]",
    "cmp al, 'l'",
    "je 2f",
    "cmp al, 'u'",
    "je 4f",
    "cmp al, 'e'",
    "je 6f",
    "cmp al, 'q'",
    "je 5f",
    "cmp al, 'w'",
    "je 7f",
    // Ends with status 7.
    "3: mov eax, 231",
    "mov edi, 7",
    "syscall",
    // The constants begin in the page of the file in which the code ends, and so a page further on in memory.
    // Makes that page writable, and writes there where the code has its status.
    "7: cmp dword ptr [rip + enarx_test_constants + 0x1000], 0x12345678",
    "jne 4f",
    "lea rdi, [rip + enarx_test_runtime + 0x1000]",
    "mov eax, 10",
    "mov esi, 0x1000",
    "mov edx, 3",
    "syscall",
    "test rax, rax",
    "jnz 4f",
    "mov byte ptr [rip + 3b + 6 + 0x1000], 8",
    "cmp byte ptr [rip + 3b + 6 + 0x1000], 8",
    "jne 4f",
    "jmp 3b",
    // Never ends.
    "2: jmp 2b",
    "4: ud2",
    // Sends "echo".
    "6: mov eax, 1",
    "mov edi, 3",
    "lea rsi, [rip + 8f]",
    "mov edx, 4",
    "syscall",
    "jmp 1b",
    // Has a digest kept, asks for evidence, and sends the whole answer.
    "5: mov eax, 1",
    "mov edi, 4",
    "lea rsi, [rip + 7f]",
    "mov edx, 8 + 48",
    "syscall",
    "xor eax, eax",
    "lea rsi, [rsp - 64]",
    "mov edx, 8",
    "syscall",
    "mov eax, 1",
    "lea rsi, [rip + 7f + 8 + 48]",
    "mov edx, 8 + 64",
    "syscall",
    "xor eax, eax",
    "lea rsi, [rsp - 0x8000]",
    "mov edx, 0x7000",
    "syscall",
    "mov edx, eax",
    "mov eax, 1",
    "mov edi, 3",
    "syscall",
    "jmp 1b",
    "7: .long 4, 48",
    ".fill 48, 1, 5",
    ".long 2, 64",
    ".fill 64, 1, 6",
    "8: .ascii \"echo\"",
    "9: .ascii \"hello\"",
    "enarx_test_constants:",
    ".long 0x12345678",
    "enarx_test_runtime_end:",
    ".popsection",
);

unsafe extern "C" {
    static enarx_test_runtime: u8;
    static enarx_test_constants: u8;
    static enarx_test_runtime_end: u8;
}

fn runtime() -> Vec<u8> {
    let [start, constants, end] = [
        &raw const enarx_test_runtime,
        &raw const enarx_test_constants,
        &raw const enarx_test_runtime_end,
    ];
    // SAFETY: all of them are defined above, around bytes that never change.
    let contents = unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) };
    let sizes = [
        constants.addr() - start.addr(),
        end.addr() - constants.addr(),
    ];
    let [code, constants] = sizes.map(|size| size as u64);
    let parts = [(5, code), (4, constants)].map(|(access, size)| Part { access, size });
    static_pie(contents, &parts)
}

fn image(runtime: &[u8]) -> KeepImage<'_> {
    KeepImage {
        runtime,
        runtime_digest: [1; 48],
        sgx: SgxImage::default(),
        vm: VmImage {
            shim: enarx_host_image::shim_vm(),
            runtime_file_digest: file_digest(runtime),
        },
    }
}

/// A simulated secure processor, which takes seconds to make.
fn processor() -> &'static Arc<SecureProcessor> {
    static PROCESSOR: OnceLock<Arc<SecureProcessor>> = OnceLock::new();
    PROCESSOR.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kvm");
        std::fs::create_dir_all(&directory).unwrap();
        Arc::new(SecureProcessor::open_announcing(&directory, || {}).unwrap())
    })
}

fn request<'a>(image: &'a KeepImage<'a>) -> LaunchRequest<'a> {
    LaunchRequest {
        image,
        memory_bytes: MEMORY,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds: None,
        network: false,
        host_data: [3; 32],
        simulator: Some(Simulator::SecureProcessor(processor())),
    }
}

fn launch() -> LaunchedKeep {
    launch_by(&KvmBackend::new())
}

fn launch_by(backend: &KvmBackend) -> LaunchedKeep {
    let runtime = runtime();
    let image = image(&runtime);
    let request = request(&image);
    let launched = backend.launch(&match backend.platform() {
        Platform::Tdx => in_played_tdx(request),
        _ => request,
    });
    launched.unwrap()
}

/// The same with a simulated Intel machine.
fn in_played_tdx(request: LaunchRequest<'_>) -> LaunchRequest<'_> {
    LaunchRequest {
        simulator: Some(Simulator::IntelMachine {
            directory: Path::new(env!("CARGO_TARGET_TMPDIR")),
            fast: false,
        }),
        ..request
    }
}

/// Tells the Keep what to do, and waits for its end.
fn tell(mut keep: LaunchedKeep, command: u8) -> Ended {
    keep.channel.write_all(&[command]).unwrap();
    keep.process.wait()
}

fn runs_and_ends(backend: &KvmBackend) {
    let mut keep = launch_by(backend);
    let endorsements = if backend.platform() == Platform::Tdx {
        6
    } else {
        3
    };
    assert_eq!(keep.endorsements.len(), endorsements);
    keep.channel.write_all(b"e").unwrap();
    let mut echo = [0; 4];
    keep.channel.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"echo");
    let ended = tell(keep, b'x');
    assert_eq!(ended.outcome, Outcome::Exited(7), "{ended:?}");
    assert_eq!(ended.diagnostics, "hello");
}

fn a_trust_domain_reports_what_was_measured_since() {
    // Offsets in an answer with a quote of version 4: two headers, then the report.
    const RTMR3: usize = 8 + 48 + 472;
    const REPORT_DATA: usize = RTMR3 + 48;
    let mut keep = launch_by(&KvmBackend::tdx());
    keep.channel.write_all(b"q").unwrap();
    let mut answer = [0; REPORT_DATA + 64];
    keep.channel.read_exact(&mut answer).unwrap();
    assert_eq!(answer[8..10], [4, 0], "{:?}", &answer[..16]);
    let extended = enarx_wire_launch::tdx_extended(&[0; 48], &[5; 48]);
    assert_eq!(answer[RTMR3..REPORT_DATA], extended);
    assert_eq!(answer[REPORT_DATA..], [6; 64]);
}

fn a_trust_domain_has_room_below_its_first_instruction() {
    let runtime = runtime();
    let image = image(&runtime);
    let failed = |request| KvmBackend::tdx().launch(&request).err().unwrap();
    let too_large = LaunchRequest {
        memory_bytes: 4 << 30,
        ..in_played_tdx(request(&image))
    };
    let error = failed(too_large).to_string();
    assert!(error.contains("--keep-memory"), "{error}");
    // A secure processor gives no quotes, and nothing is simulated unless somebody says so.
    assert!(matches!(
        failed(request(&image)),
        LaunchError::NoEvidenceSource
    ));
    let on_hardware = LaunchRequest {
        simulator: None,
        ..request(&image)
    };
    assert!(matches!(failed(on_hardware), LaunchError::NoTdx(_)));
}

/// Status of a runtime that an instruction ended which does not exist.
const ILLEGAL: i32 = 128 + 4;

fn faults_end_the_runtime() {
    let ended = tell(launch(), b'u');
    assert_eq!(ended.outcome, Outcome::Exited(ILLEGAL), "{ended:?}");
}

fn no_memory_has_two_addresses() {
    for backend in [KvmBackend::new(), KvmBackend::snp(None)] {
        let ended = tell(launch_by(&backend), b'w');
        assert_eq!(ended.outcome, Outcome::Exited(7), "{ended:?}");
    }
}

fn a_keep_ends_with_its_handle() {
    let mut keep = launch();
    keep.channel.write_all(b"l").unwrap();
    let id = keep.process.id();
    assert!(Path::new(&format!("/proc/{id}")).exists());
    drop(keep);
    assert!(!Path::new(&format!("/proc/{id}")).exists());
}

fn processor_time_is_limited() {
    let runtime = runtime();
    let image = image(&runtime);
    let request = LaunchRequest {
        cpu_seconds: Some(1),
        ..request(&image)
    };
    let keep = KvmBackend::new().launch(&request).unwrap();
    let ended = tell(keep, b'l');
    assert_eq!(ended.outcome, Outcome::CpuLimit, "{ended:?}");
    assert!(ended.cpu_time >= Duration::from_millis(400));
}

fn the_process_is_confined() {
    let keep = launch();
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
}

fn a_directory_does_for_namespaces() {
    let runtime = runtime();
    let image = image(&runtime);
    let backend = KvmBackend::new().without_namespaces();
    let keep = backend.launch(&request(&image)).unwrap();
    let Isolation::Directory { path, .. } = keep.isolation.clone() else {
        panic!("{:?}", keep.isolation)
    };
    assert!(path.exists());
    assert_eq!(tell(keep, b'x').outcome, Outcome::Exited(7));
    assert!(!path.exists());
}

fn what_cannot_be_launched_says_why() {
    let runtime = runtime();
    let image = image(&runtime);
    let backend = KvmBackend::new();
    assert_eq!(backend.platform(), Platform::Kvm);
    let failed = |request: &LaunchRequest<'_>| backend.launch(request).err().unwrap();
    let without_shim = KeepImage {
        vm: VmImage::default(),
        ..image
    };
    assert!(matches!(
        failed(&request(&without_shim)),
        LaunchError::NoShim
    ));
    let no_program = KeepImage {
        runtime: b"no program",
        ..image
    };
    assert!(matches!(
        failed(&request(&no_program)),
        LaunchError::Pages(_)
    ));
    let too_small = LaunchRequest {
        memory_bytes: 1 << 20,
        ..request(&image)
    };
    assert!(matches!(failed(&too_small), LaunchError::MemoryTooSmall(_)));
    let without_evidence = LaunchRequest {
        simulator: None,
        ..request(&image)
    };
    let error = failed(&without_evidence);
    assert!(error.to_string().contains("--simulate"), "{error}");
    // More than a process can have addresses for.
    let too_large = LaunchRequest {
        memory_bytes: 1 << 47,
        ..request(&image)
    };
    let error = failed(&too_large);
    assert!(
        matches!(&error, LaunchError::Machine(reason) if reason.contains("memory")),
        "{error}"
    );
}

/// How often a Keep is started and ended; `ENARX_TEST_STARTS` says otherwise.
const STARTS: usize = 40;

fn starts_and_stops_leave_nothing() {
    let starts = std::env::var("ENARX_TEST_STARTS").map_or(STARTS, |text| text.parse().unwrap());
    let backends = [
        KvmBackend::new(),
        KvmBackend::snp(None),
        KvmBackend::tdx(),
        KvmBackend::new().without_namespaces(),
    ];
    let start = |index: usize| {
        // Most are of the first kind.
        let other = index.is_multiple_of(4).then_some(index / 4 % 4);
        let keep = launch_by(&backends[other.unwrap_or(0)]);
        let isolation = keep.isolation.clone();
        // Some end by themselves, some fail, some are ended.
        match index % 3 {
            0 => assert_eq!(tell(keep, b'x').outcome, Outcome::Exited(7)),
            1 => assert_eq!(tell(keep, b'u').outcome, Outcome::Exited(ILLEGAL)),
            _ => drop(keep),
        }
        if let Isolation::Directory { path, .. } = isolation {
            assert!(!path.exists(), "{}", path.display());
        }
    };
    // What is kept for later is made.
    (0..16).for_each(start);
    let (before, resident_before) = (Held::now(), resident());
    (0..starts).for_each(start);
    // A thread that has seen its Keep off may still be ending.
    let end = Instant::now() + Duration::from_secs(60);
    while !Held::now().is_within(&before) {
        assert!(
            Instant::now() < end,
            "{:?} instead of {before:?}",
            Held::now()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = resident().saturating_sub(resident_before);
    assert!(grown < 8 << 10, "{grown} KiB after {starts} starts");
    println!("{starts} starts and stops left nothing; memory grew by {grown} KiB");
}

/// What this process has of the system.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    processes: usize,
    mappings: usize,
    files: usize,
}

impl Held {
    fn now() -> Self {
        let count = |path: &Path| std::fs::read_dir(path).unwrap().count();
        let tasks = Path::new("/proc/self/task");
        let children = |task: std::io::Result<std::fs::DirEntry>| {
            let path = task.unwrap().path().join("children");
            let children = std::fs::read_to_string(path).unwrap_or_default();
            children.split_whitespace().count()
        };
        Self {
            descriptors: count(Path::new("/proc/self/fd")),
            threads: count(tasks),
            processes: std::fs::read_dir(tasks).unwrap().map(children).sum(),
            mappings: std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .lines()
                .count(),
            files: count(Path::new(env!("CARGO_TARGET_TMPDIR"))),
        }
    }

    /// The allocator may have split and joined what it has.
    fn is_within(&self, before: &Self) -> bool {
        const MAPPINGS: usize = 16;
        self.descriptors == before.descriptors
            && self.threads == before.threads
            && self.processes == before.processes
            && self.mappings <= before.mappings + MAPPINGS
            && self.files <= before.files
    }
}

/// KiB of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse().unwrap()
}
