//! An ordinary program of C in each kind of Keep that can be simulated: what the shims give it
//! is what Linux gives it.
//!
//! The test's program is executed again as a Keep's process, so it has a `main` of its own.

fn main() {
    #[cfg(target_arch = "x86_64")]
    x86_64::main();
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;

    use enarx_host_launcher::kvm::KvmBackend;
    use enarx_host_launcher::process::ProcessBackend;
    use enarx_host_launcher::sgx::SgxBackend;
    use enarx_host_launcher::{
        Backend, LaunchRequest, LaunchedKeep, Outcome, Simulator, become_keep_if_asked,
    };
    use enarx_host_simulator::snp::SecureProcessor;
    use enarx_wire_launch::sgx::runtime_pages_digest;
    use enarx_wire_launch::vm::file_digest;
    use enarx_wire_launch::{KeepImage, MemoryStrategy, Platform, SgxImage, VmImage};

    /// How the program ends if it finds nothing wrong.
    const RIGHT: i32 = 7;

    const MEMORY: u64 = 256 << 20;

    /// As much as is soon used up.
    const LITTLE_MEMORY: u64 = 64 << 20;

    pub fn main() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("program");
        let read = || std::fs::read(&path).unwrap();
        let mut program = Vec::new();
        become_keep_if_asked(|| {
            program = read();
            image(&program)
        });
        compile(&path);
        let program = read();
        let directory = tempfile::tempdir().unwrap();
        let processor = Arc::new(SecureProcessor::open(directory.path()).unwrap());
        let launch = |backend: &dyn Backend, simulator: Simulator<'_>, memory_bytes| {
            let image = image(&program);
            let request = LaunchRequest {
                image: &image,
                memory_bytes,
                strategy: MemoryStrategy::GuardPages,
                cpu_seconds: Some(300),
                network: false,
                host_data: [0; 32],
                simulator: Some(simulator),
            };
            backend.launch(&request).unwrap()
        };
        let in_process = || {
            let simulator = Simulator::SecureProcessor(&processor);
            launch(&ProcessBackend::new(None), simulator, MEMORY)
        };
        let in_machine = |backend: &KvmBackend, memory_bytes| {
            let simulator = match backend.platform() {
                Platform::Tdx => Simulator::IntelMachine {
                    directory: directory.path(),
                    fast: false,
                },
                _ => Simulator::SecureProcessor(&processor),
            };
            launch(backend, simulator, memory_bytes)
        };
        let in_enclave = |machine: &str, fast, memory_bytes| {
            let directory = directory.path().join(machine);
            std::fs::create_dir_all(&directory).unwrap();
            let simulator = Simulator::IntelMachine {
                directory: &directory,
                fast,
            };
            launch(&SgxBackend::new(None), simulator, memory_bytes)
        };
        threads("process", in_process(), 7);
        threads("sgx", in_enclave("sgx", false, MEMORY), 7);
        threads("fast sgx", in_enclave("sgx", true, MEMORY), 7);
        match File::options().read(true).write(true).open("/dev/kvm") {
            Ok(_) => {
                let backends = [
                    ("kvm", KvmBackend::new()),
                    ("snp", KvmBackend::snp(None)),
                    ("tdx", KvmBackend::tdx()),
                ];
                for (kind, backend) in &backends {
                    // In `snp` new memory is zeroed too, before threads can reach it.
                    threads(kind, in_machine(backend, MEMORY), 7);
                    giving_memory_back(kind, in_machine(backend, MEMORY));
                    let little = || in_machine(backend, LITTLE_MEMORY);
                    using_memory("memory_that_is_used_up", b'm', kind, little());
                    using_memory("memory_that_moves", b'c', kind, little());
                    using_memory("constants_in_large_pages", b'l', kind, little());
                }
                let kvm = in_machine(&backends[0].1, MEMORY);
                assert_eq!(sealing_key(kvm, 1, [0; 16]), None);
            }
            Err(error) => println!("not tried in a virtual machine: /dev/kvm: {error}"),
        }

        assert_eq!(sealing_key(in_process(), 1, [0; 16]), None);
        let key = |machine, memory_bytes, name, version| {
            sealing_key(in_enclave(machine, false, memory_bytes), name, version)
        };
        let (first, version) = key("sgx", MEMORY, 1, [0; 16]).unwrap();
        assert_ne!(first, [0; 16]);
        let again = Some((first, version));
        assert_eq!(key("sgx", MEMORY, 1, [0; 16]), again);
        assert_eq!(key("sgx", MEMORY, 1, version), again);
        let others = [
            key("sgx", MEMORY, 2, [0; 16]),
            key("sgx", 2 * MEMORY, 1, [0; 16]),
            key("other sgx", MEMORY, 1, [0; 16]),
        ];
        for other in others {
            assert_ne!(other.unwrap().0, first);
        }
        assert_eq!(
            key("sgx", MEMORY, 1, [0xFF; 16]),
            None,
            "no such version yet"
        );
        println!("test sealing_keys_are_the_measured_keeps_own ... ok");
    }

    fn threads(kind: &str, mut keep: LaunchedKeep, count: u8) {
        keep.channel.write_all(&[b't', count, b'x']).unwrap();
        let ended = keep.process.wait();
        assert_eq!(ended.outcome, Outcome::Exited(RIGHT), "{kind}: {ended:?}");
        println!("test {count} threads ({kind}) ... ok, {:?}", ended.cpu_time);
    }

    /// The host gets back what the program does not use, and the program gets it again.
    fn giving_memory_back(kind: &str, mut keep: LaunchedKeep) {
        const MUCH: u64 = 100 << 10;
        let resident = |keep: &LaunchedKeep| {
            let path = format!("/proc/{}/status", keep.process.id());
            let status = std::fs::read_to_string(path).unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS:"));
            let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
            kibibytes.parse::<u64>().unwrap()
        };
        keep.channel.write_all(b"g").unwrap();
        let mut least = u64::MAX;
        for round in 0..4 {
            let mut said = [0; 1];
            let [used, left] = [b't', b'g'].map(|expected| {
                keep.channel.read_exact(&mut said).unwrap();
                assert_eq!(said[0], expected);
                let resident = resident(&keep);
                keep.channel.write_all(b"-").unwrap();
                resident
            });
            println!("{kind}: {used} KiB, and {left} KiB when 100 MiB are given back");
            assert!(used > MUCH, "{used} KiB");
            assert!(round == 0 || used < 2 * MUCH, "used again: {used} KiB");
            assert!(used - left > 80 << 10, "{used} KiB, {left} KiB");
            least = least.min(left);
        }
        assert!(least < 50 << 10, "{least} KiB");
        keep.channel.write_all(b"x").unwrap();
        let ended = keep.process.wait();
        assert_eq!(ended.outcome, Outcome::Exited(RIGHT), "{kind}: {ended:?}");
        println!("test memory_that_is_given_back ({kind}) ... ok");
    }

    fn using_memory(what: &str, command: u8, kind: &str, mut keep: LaunchedKeep) {
        keep.channel.write_all(&[command, b'x']).unwrap();
        let ended = keep.process.wait();
        let right = Outcome::Exited(RIGHT);
        assert_eq!(ended.outcome, right, "{what} ({kind}): {ended:?}");
        println!("test {what} ({kind}) ... ok, {:?}", ended.cpu_time);
    }

    /// The key of a name, and its version, if the Keep gets it.
    fn sealing_key(
        mut keep: LaunchedKeep,
        name: u8,
        version: [u8; 16],
    ) -> Option<([u8; 16], [u8; 16])> {
        let request = [&b"k"[..], &[name; 32], &version].concat();
        keep.channel.write_all(&request).unwrap();
        let mut header = [0; 8];
        keep.channel.read_exact(&mut header).unwrap();
        let given = header == [0, 0, 0, 0, 32, 0, 0, 0];
        let mut answer = [[0; 16]; 2];
        if given {
            keep.channel.read_exact(answer.as_flattened_mut()).unwrap();
        } else {
            assert_eq!(header, [1, 0, 0, 0, 0, 0, 0, 0]);
        }
        keep.channel.write_all(b"x").unwrap();
        assert_eq!(keep.process.wait().outcome, Outcome::Exited(RIGHT));
        given.then_some(answer.into())
    }

    fn image(program: &[u8]) -> KeepImage<'_> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, program);
        KeepImage {
            runtime: program,
            runtime_digest: digest.as_ref().try_into().unwrap(),
            sgx: SgxImage {
                shim: enarx_host_image::shim_sgx(),
                runtime_pages_digest: runtime_pages_digest(program).unwrap(),
            },
            vm: VmImage {
                shim: enarx_host_image::shim_vm(),
                runtime_file_digest: file_digest(program),
            },
        }
    }

    fn compile(path: &PathBuf) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keep/program.c");
        let status = Command::new("cc")
            // As the runtime is linked: with what can be mapped in large pages.
            .args(["-O2", "-static-pie", "-pthread"])
            .args(["-Wl,-z,max-page-size=0x200000,-z,noseparate-code", "-o"])
            .args([path, &source])
            .status()
            .expect("this test needs a C compiler named cc");
        assert!(status.success());
    }
}
