//! The same shim in QEMU's emulator, for tests: there its body runs in a real ring 0, with SMEP and
//! SMAP on, which software KVM does not have. Needs the command `qemu-system-x86_64`.
//!
//! The machine's memory is a file that both map. The doorbell is a port behind a stream, and
//! the shim waits in shared memory for its answers.
//!
//! The emulator can stop between any two instructions, and go on with an interrupt that nothing holds
//! back: what a hostile host does.

mod debugger;
mod interrupts;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::ptr::{self, NonNull};

use enarx_wire_hostcall::call::{Leave, Service};
use enarx_wire_launch::vm::{BodyRing, Boot, Doorbell, FilePlace, GuestPages, file_digest, layout};
use enarx_wire_launch::{KeepImage, Platform, SgxImage, VmImage};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::services::{DeviceEvidence, MachineServices};
use crate::service::{Outside, Served, Services, Starter, services};

/// How a Keep in QEMU ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Abort(u8),
}

/// A Keep of one processor.
struct Guest {
    directory: tempfile::TempDir,
    memory: NonNull<u8>,
    doorbell: UnixStream,
    qemu: Child,
    services: Services,
    outside: Outside,
}

const KEEP_MEMORY: u64 = 64 << 20;
const MACHINE_MEMORY: usize = 1 << 30;

impl Guest {
    /// A Keep on `platform` whose measured runtime is `runtime`, and that finds `offered`.
    fn start(platform: Platform, runtime: &[u8], offered: &[u8]) -> Self {
        Self::start_with(platform, runtime, offered, |_| {
            vec!["-cpu".into(), "max".into()]
        })
    }

    /// The same, with more arguments for an emulator that has this directory.
    fn start_with(
        platform: Platform,
        runtime: &[u8],
        offered: &[u8],
        more: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let image = KeepImage {
            runtime,
            runtime_digest: [1; 48],
            sgx: SgxImage::default(),
            vm: VmImage {
                shim: enarx_host_image::shim_vm(),
                runtime_file_digest: file_digest(runtime),
            },
        };
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let file = File::create_new(path("memory")).unwrap();
        file.set_len(MACHINE_MEMORY as u64).unwrap();
        let memory = map(&file_for_writing(&path("memory")));
        let boot = Boot {
            ring: BodyRing::Supervisor,
            doorbell: Doorbell::Port,
            file: FilePlace::Shared,
        };
        let write = |address: u64, bytes: &[u8]| {
            // SAFETY: within the memory, which nobody else uses yet.
            unsafe {
                let to = memory.as_ptr().add(address as usize);
                ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
        };
        let pages = GuestPages::new(platform, &image, KEEP_MEMORY).unwrap();
        for (address, contents) in pages.each() {
            write(address, &contents.unwrap_or([0; 4096]));
        }
        write(layout::BOOT_PAGE, &boot.encode());
        write(layout::RUNTIME_FILE, offered);
        std::fs::write(path("shim"), image.vm.shim).unwrap();

        let listener = UnixListener::bind(path("doorbell")).unwrap();
        let qemu = Command::new("qemu-system-x86_64")
            .args([
                "-M",
                "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,memory-backend=m",
            ])
            .args(["-accel", "tcg", "-m", "1024"])
            .args(more(directory.path()))
            .args([
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
            ])
            .arg("-object")
            .arg(format!(
                "memory-backend-file,id=m,mem-path={},share=on,size=1G",
                path("memory").display()
            ))
            .arg("-chardev")
            .arg(format!("socket,id=d,path={}", path("doorbell").display()))
            .args(["-device", "isa-debugcon,iobase=0xe9,chardev=d"])
            .arg("-kernel")
            .arg(path("shim"))
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64, of Debian's package qemu-system-x86");
        let (doorbell, _) = listener.accept().unwrap();
        let (device, _) = UnixStream::pair().unwrap();
        let evidence = DeviceEvidence::new(device);
        let (services, outside) = services(Box::new(MachineServices::new(evidence, None)), 1);
        Self {
            directory,
            memory,
            doorbell,
            qemu,
            services,
            outside,
        }
    }

    /// Serves the Keep to its end.
    fn serve(&mut self) -> End {
        loop {
            if let Some(end) = self.serve_call() {
                return end;
            }
        }
    }

    /// Serves the Keep's next call, or tells its end.
    fn serve_call(&mut self) -> Option<End> {
        // SAFETY: within the memory, which stays mapped, and nothing of this program's.
        let block = unsafe { Service::new(self.memory.add(layout::block(0) as usize)) };
        let mut rung = [0; 2];
        self.doorbell.read_exact(&mut rung).unwrap();
        match Leave::from_code(rung[0].into()) {
            Some(Leave::Call) => {}
            Some(Leave::Abort) => return Some(End::Abort(rung[1])),
            other => panic!("{other:?}"),
        }
        let request = block.request().unwrap();
        let mut payload = vec![0; request.length];
        block.payload(&mut payload);
        match self.services.serve(0, &request, &mut payload, &OneThread) {
            Served::Answer(result) => block.answer(&request, result, &payload),
            Served::Exit(status) => return Some(End::Exit(status)),
        }
        None
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

struct OneThread;

impl Starter for OneThread {
    fn start(&self, _: u32) -> Result<(), Errno> {
        Err(Errno::AGAIN)
    }
}

fn file_for_writing(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn map(file: &File) -> NonNull<u8> {
    // SAFETY: a new mapping, at an address of the system's choice, that stays.
    let address = unsafe {
        mmap(
            ptr::null_mut(),
            MACHINE_MEMORY,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            0,
        )
    };
    NonNull::new(address.unwrap().cast()).unwrap()
}

/// The real runtime gets as far as wanting to hear from its owner: thousands of instructions, system calls,
/// and page faults beneath a kernel of our own.
#[test]
fn the_runtime_runs_in_ring_0() {
    let runtime = enarx_host_image::runtime();
    let mut guest = Guest::start(Platform::Kvm, runtime, runtime);
    // Nobody is there.
    guest.outside.channel = UnixStream::pair().unwrap().0;
    let end = guest.serve();
    println!("{end:?}: {}", guest.outside.diagnostics());
    assert!(matches!(end, End::Exit(1..)), "{end:?}");
}

/// Where the launch page names what is no machine, the shim does not run.
#[test]
fn a_machine_of_another_platform_is_refused() {
    const LAUNCH: u8 = 8;
    let runtime = enarx_host_image::runtime();
    let mut guest = Guest::start(Platform::Process, runtime, runtime);
    assert_eq!(guest.serve(), End::Abort(LAUNCH));
}

/// A runtime that is not the measured one is not run.
#[test]
fn another_runtime_is_refused() {
    const RUNTIME: u8 = 7;
    let runtime = enarx_host_image::runtime();
    let mut other = runtime.to_vec();
    *other.last_mut().unwrap() ^= 1;
    let mut guest = Guest::start(Platform::Kvm, runtime, &other);
    assert_eq!(guest.serve(), End::Abort(RUNTIME));
}
