//! A Keep's virtual machine: its memory, and what it is loaded with.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use enarx_wire_hostcall::call::{BLOCK_SIZE, Service};
use enarx_wire_launch::vm::{BodyRing, Boot, Doorbell, FilePlace, GuestPages, layout};
use enarx_wire_launch::{KeepImage, PAGE_SIZE};
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

use super::guest_memory::GuestMemory;
use super::hardware::Hardware;
use super::launch::{
    ConfidentialError, Contents, Kernel, Region, RegionKind, SnpLaunch, TdxLaunch,
};
use super::memory::Memory;
use super::played::{Marks, PageStates, Playable};
use super::processor::{self, Offered, Processor};
use super::quoting_service::{self, QuotingService};

/// A virtual machine that is loaded and has not run.
pub(super) struct Machine {
    vm: Arc<VmFd>,
    offered: Offered,
    /// Processors that were made with the machine, until they are used.
    processors: Mutex<Vec<Option<VcpuFd>>>,
    /// What those ask of the host.
    hardware: Option<Arc<Hardware>>,
    /// From [`layout::BOOT_PAGE`] on.
    shared: Memory,
    /// From [`layout::PRIVATE`] on, where that is this process's memory and no TEE's.
    private: Option<Arc<Memory>>,
    /// The rest of what the machine has, kept for as long as that.
    _others: Vec<Memory>,
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum MachineError {
    /// The device cannot be opened.
    #[error("/dev/kvm: {0}")]
    Device(#[source] io::Error),
    /// The processor lacks an instruction set that the shim relies on.
    #[error("the processor that KVM offers has no {0}")]
    Feature(&'static str),
    /// No memory.
    #[error("no memory for the machine: {0}")]
    Memory(#[source] io::Error),
    /// More memory than such a machine can have.
    #[error(
        "a machine of this kind has room for {0} bytes of memory and its own needs; ask for less with --keep-memory"
    )]
    TooLarge(u64),
    /// KVM refused something.
    #[error("KVM could not {0}: {1}")]
    Kvm(&'static str, #[source] kvm_ioctls::Error),
    /// The TEE was not launched.
    #[error("{0}")]
    Tee(#[from] ConfidentialError),
}

/// A TEE of the processor's own.
pub(super) enum HardwareTee<'a> {
    /// SEV-SNP.
    Snp(SnpLaunch<'a>),
    /// TDX.
    Tdx(TdxLaunch),
}

/// Opens the device.
pub(super) fn open_kvm() -> io::Result<Kvm> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open("/dev/kvm")?;
    // SAFETY: a descriptor of the device that nobody else has.
    Ok(unsafe { Kvm::from_raw_fd(device.into_raw_fd()) })
}

impl Machine {
    /// Makes a machine of `pages`, whose shim's body runs in `ring`, and with a TEE if the host is to play
    /// one.
    ///
    /// # Errors
    ///
    /// [`MachineError`] says what was missing.
    pub(super) fn new(
        image: &KeepImage<'_>,
        pages: &GuestPages<'_>,
        memory_bytes: u64,
        ring: BodyRing,
        tee: Option<Box<dyn Playable>>,
    ) -> Result<Self, MachineError> {
        let (kvm, cpuid) = open_and_ask(ring)?;
        let vm = kvm
            .create_vm()
            .map_err(|error| MachineError::Kvm("make a machine", error))?;

        let new = |size| Memory::new(size).map_err(MachineError::Memory);
        let mut loaded = new(LOADED_SIZE)?;
        let resets = tee.as_ref().is_some_and(|tee| tee.resets());
        let mut reset = resets.then(|| new(PAGE_SIZE as u64)).transpose()?;
        for page in pages.loads() {
            let firmware = tee.as_ref();
            let firmware = firmware.and_then(|tee| tee.contents(page.kind, &cpuid));
            let (memory, first) = match (&mut reset, page.address) {
                (Some(reset), layout::RESET_PAGE) => (reset, layout::RESET_PAGE),
                _ => (&mut loaded, layout::SHIM),
            };
            if let Some(contents) = firmware.or(page.contents) {
                memory.write(page.address - first, &contents);
            }
        }
        let file_bytes = image.runtime.len() as u64;
        let mut private = new(layout::private_bytes(memory_bytes, file_bytes))?;
        private.prefer_large_pages();
        // What the host plays a TEE for has the file copied, as in a TEE. Else the machine needs to reach each of
        // the file's pages but once.
        let in_place = match tee {
            None => layout::runtime_copy(memory_bytes, file_bytes),
            Some(_) => None,
        };
        let place = match in_place {
            Some(_) => FilePlace::Private,
            None => FilePlace::Shared,
        };
        let shared = shared_memory(ring, place)?;
        let marks = tee.as_ref().map_or_else(Marks::default, |tee| tee.marks());
        let end = match (marks.private | marks.shared, resets) {
            (_, true) => layout::RESET_PAGE,
            (0, false) => u64::MAX,
            (mark, false) => mark,
        };
        if private.size() > end - layout::PRIVATE {
            return Err(MachineError::TooLarge(end - layout::PRIVATE));
        }
        let mut slots = vec![
            (layout::SHIM, loaded.base(), loaded.size(), 0),
            (
                layout::BOOT_PAGE | marks.shared,
                shared.base(),
                shared.size(),
                0,
            ),
            (
                layout::PRIVATE | marks.private,
                private.base(),
                private.size(),
                0,
            ),
        ];
        if marks.private != 0 {
            // Without paging, all memory is private.
            slots.push((
                layout::SHIM | marks.private,
                loaded.base(),
                loaded.size(),
                0,
            ));
        }
        let mut others = Vec::new();
        if let Some(reset) = reset {
            slots.push((layout::RESET_PAGE, reset.base(), reset.size(), 0));
            others.push(reset);
        }
        match in_place {
            Some(address) => private
                .write_in_two_threads(address - layout::PRIVATE, image.runtime)
                .map_err(MachineError::Memory)?,
            None => {
                let (base, size, copy) = runtime_file(image)?;
                others.extend(copy);
                let file = layout::RUNTIME_FILE | marks.shared;
                slots.push((file, base, size, KVM_MEM_READONLY));
            }
        }
        for (slot, (address, base, size, flags)) in (0..).zip(slots) {
            let region = kvm_userspace_memory_region {
                slot,
                flags,
                guest_phys_addr: address,
                memory_size: size,
                userspace_addr: base.as_ptr() as u64,
            };
            // SAFETY: memory that is kept for as long as the machine, or is this program's own
            // image, which stays and is only read.
            unsafe { vm.set_user_memory_region(region) }
                .map_err(|error| MachineError::Kvm("give memory to the machine", error))?;
        }
        let mut kept = None;
        let played = match tee {
            Some(tee) => {
                let mut states = PageStates::default();
                let addresses = pages.loads().map(|page| page.address);
                states
                    .add(layout::SHIM, loaded, addresses)
                    .and_then(|()| states.add(layout::PRIVATE, private, []))
                    .map_err(MachineError::Memory)?;
                Some(tee.play(Arc::new(states), &shared))
            }
            None => {
                others.push(loaded);
                kept = Some(Arc::new(private));
                None
            }
        };
        Ok(Self {
            vm: Arc::new(vm),
            offered: Offered {
                cpuid,
                ring,
                resets,
                played,
            },
            processors: Mutex::default(),
            hardware: None,
            shared,
            private: kept,
            _others: others,
        })
    }

    /// Makes a machine of `pages` in a TEE of the processor's own.
    ///
    /// **This has never run on hardware.**
    ///
    /// # Errors
    ///
    /// [`MachineError`] says what was missing.
    pub(super) fn in_tee(
        image: &KeepImage<'_>,
        pages: &GuestPages<'_>,
        memory_bytes: u64,
        tee: &HardwareTee<'_>,
    ) -> Result<Self, MachineError> {
        let ring = BodyRing::Supervisor;
        let (kvm, cpuid) = open_and_ask(ring)?;
        let shared = shared_memory(ring, FilePlace::Shared)?;
        let (base, size, copy) = runtime_file(image)?;
        let mut regions = vec![
            shared_region(layout::BOOT_PAGE, shared.base(), shared.size()),
            shared_region(layout::RUNTIME_FILE, base, size),
        ];
        let mut private = vec![
            (layout::SHIM, LOADED_SIZE),
            (
                layout::PRIVATE,
                layout::private_bytes(memory_bytes, image.runtime.len() as u64),
            ),
        ];
        if let HardwareTee::Tdx(_) = tee {
            let room = layout::RESET_PAGE - layout::PRIVATE;
            if private[1].1 > room {
                return Err(MachineError::TooLarge(room));
            }
            private.push((layout::RESET_PAGE, PAGE_SIZE as u64));
        }
        let mut others: Vec<_> = copy.into_iter().collect();
        for (address, size) in private {
            // The kernel wants an address for what would be shared of it; the guest shares nothing.
            let memory = Memory::new(size).map_err(MachineError::Memory)?;
            regions.push(Region {
                kind: RegionKind::Private,
                ..shared_region(address, memory.base(), size)
            });
            others.push(memory);
        }
        let contents = Contents {
            pages,
            regions: &regions,
            cpuid: &cpuid,
            processors: layout::PROCESSORS,
        };
        let mut kernel = Kernel::new(kvm);
        match tee {
            HardwareTee::Snp(snp) => snp.launch(&mut kernel, &contents)?,
            HardwareTee::Tdx(tdx) => tdx.launch(&mut kernel, &contents)?,
        }
        let made = kernel.made().map_err(MachineError::Memory)?;
        let vm = Arc::new(made.machine);
        let quoting = match tee {
            HardwareTee::Snp(_) => None,
            // Without it the Keep has no evidence, and its owner says so.
            HardwareTee::Tdx(_) => QuotingService::connect(Path::new(quoting_service::SOCKET)).ok(),
        };
        // In the order in which it was given to the machine.
        let private = regions
            .iter()
            .filter(|region| region.kind == RegionKind::Private);
        let private = private.zip(made.memory).map(|(region, file)| GuestMemory {
            first: region.address,
            size: region.size,
            file,
        });
        let hardware = Hardware::new(Arc::clone(&vm), private.collect(), &shared, quoting);
        Ok(Self {
            hardware: Some(Arc::new(hardware)),
            vm,
            offered: Offered {
                cpuid,
                ring,
                resets: false,
                played: None,
            },
            processors: Mutex::new(made.processors.into_iter().map(Some).collect()),
            shared,
            private: None,
            _others: others,
        })
    }

    /// Makes the machine's processor `index`.
    pub(super) fn processor(&self, index: u32) -> io::Result<Processor> {
        let mut processors = self
            .processors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match processors.get_mut(index as usize).map(Option::take) {
            None => Processor::new(&self.vm, &self.offered, index),
            Some(made) => {
                let (made, hardware) = made
                    .zip(self.hardware.clone())
                    .ok_or(io::ErrorKind::NotFound)?;
                Ok(Processor::of_hardware(made, index, hardware))
            }
        }
    }

    /// Its private memory, where the host has that and plays no TEE.
    pub(super) fn private(&self) -> Option<Arc<Memory>> {
        self.private.clone()
    }

    /// What the machine shares with its host.
    #[cfg(test)]
    pub(super) const fn shared(&self) -> &Memory {
        &self.shared
    }

    /// The host's end of the block of processor `index`, for as long as the machine.
    ///
    /// # Panics
    ///
    /// When there is no such processor.
    pub(super) fn block(&self, index: u32) -> Service {
        assert!(index < layout::PROCESSORS);
        const { assert!(BLOCK_SIZE as u64 <= layout::BLOCK_STRIDE) };
        let offset = layout::block(index) - layout::BOOT_PAGE;
        // SAFETY: within the shared memory, which has room for every processor's block, is
        // aligned to pages and holds nothing of this program's.
        unsafe { Service::new(self.shared.base().add(offset as usize)) }
    }
}

/// Opens the device, and finds out what processors it offers to a shim whose body runs in `ring`.
fn open_and_ask(ring: BodyRing) -> Result<(Kvm, CpuId), MachineError> {
    let kvm = open_kvm().map_err(MachineError::Device)?;
    let mut cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(|error| MachineError::Kvm("say what processors it offers", error))?;
    processor::restrict(&mut cpuid, ring).map_err(MachineError::Feature)?;
    Ok((kvm, cpuid))
}

/// The machine's shared memory, with the boot page in it.
fn shared_memory(ring: BodyRing, file: FilePlace) -> Result<Memory, MachineError> {
    let size = layout::BLOCKS_END - layout::BOOT_PAGE;
    let mut shared = Memory::new(size).map_err(MachineError::Memory)?;
    let boot = Boot {
        ring,
        doorbell: Doorbell::Memory,
        file,
    };
    shared.write(0, &boot.encode());
    Ok(shared)
}

/// Where the runtime's file lies here, and its size in whole pages: the image itself, which all Keeps of
/// this host share, if it begins with a page; or a copy.
fn runtime_file(image: &KeepImage<'_>) -> Result<(NonNull<u8>, u64, Option<Memory>), MachineError> {
    let size = (image.runtime.len() as u64).next_multiple_of(PAGE_SIZE as u64);
    if image.runtime.as_ptr().addr().is_multiple_of(PAGE_SIZE) {
        return Ok((NonNull::from(image.runtime).cast(), size, None));
    }
    let mut copy = Memory::new(size).map_err(MachineError::Memory)?;
    copy.write(0, image.runtime);
    Ok((copy.base(), size, Some(copy)))
}

fn shared_region(address: u64, base: NonNull<u8>, size: u64) -> Region {
    Region {
        address,
        size,
        userspace: base.as_ptr() as u64,
        kind: RegionKind::Shared,
    }
}

/// Bytes from the shim on that are there at the launch: all that the first small page table maps.
const LOADED_SIZE: u64 = 0x0020_0000;
