//! A Keep's virtual machine: its memory, and what it is loaded with.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::ptr::NonNull;
use std::sync::Arc;

use enarx_wire_hostcall::call::{BLOCK_SIZE, Service};
use enarx_wire_launch::vm::{BodyRing, Boot, Doorbell, GuestPages, layout};
use enarx_wire_launch::{KeepImage, PAGE_SIZE};
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VmFd};

use super::memory::Memory;
use super::played::{Marks, PageStates, Playable};
use super::processor::{self, Offered, Processor};

/// A virtual machine that is loaded and has not run.
pub(super) struct Machine {
    vm: VmFd,
    offered: Offered,
    /// From [`layout::BOOT_PAGE`] on.
    shared: Memory,
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
    /// KVM refused something.
    #[error("KVM could not {0}: {1}")]
    Kvm(&'static str, #[source] kvm_ioctls::Error),
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
        let kvm = open_kvm().map_err(MachineError::Device)?;
        let mut cpuid = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(|error| MachineError::Kvm("say what processors it offers", error))?;
        processor::restrict(&mut cpuid, ring).map_err(MachineError::Feature)?;
        let vm = kvm
            .create_vm()
            .map_err(|error| MachineError::Kvm("make a machine", error))?;

        let new = |size| Memory::new(size).map_err(MachineError::Memory);
        let mut loaded = new(LOADED_SIZE)?;
        for page in pages.loads() {
            let firmware = tee.as_ref();
            let firmware = firmware.and_then(|tee| tee.contents(page.kind, &cpuid));
            if let Some(contents) = firmware.or(page.contents) {
                loaded.write(page.address - layout::SHIM, &contents);
            }
        }
        let mut shared = new(layout::BLOCKS_END - layout::BOOT_PAGE)?;
        let boot = Boot {
            ring,
            doorbell: Doorbell::Memory,
        };
        shared.write(0, &boot.encode());
        let private = new(layout::private_bytes(
            memory_bytes,
            image.runtime.len() as u64,
        ))?;
        private.prefer_large_pages();
        let marks = tee.as_ref().map_or_else(Marks::default, |tee| tee.marks());
        if marks.private != 0 && layout::PRIVATE + private.size() > marks.private {
            return Err(MachineError::Memory(io::ErrorKind::OutOfMemory.into()));
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
        // The image itself, which all Keeps of this host share, if it begins with a page.
        let size = (image.runtime.len() as u64).next_multiple_of(PAGE_SIZE as u64);
        let base = if image.runtime.as_ptr().addr().is_multiple_of(PAGE_SIZE) {
            NonNull::from(image.runtime).cast()
        } else {
            let mut copy = new(size)?;
            copy.write(0, image.runtime);
            let base = copy.base();
            others.push(copy);
            base
        };
        let file = layout::RUNTIME_FILE | marks.shared;
        slots.push((file, base, size, KVM_MEM_READONLY));
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
                others.extend([loaded, private]);
                None
            }
        };
        Ok(Self {
            vm,
            offered: Offered {
                cpuid,
                ring,
                played,
            },
            shared,
            _others: others,
        })
    }

    /// Makes the machine's processor `index`.
    pub(super) fn processor(&self, index: u32) -> io::Result<Processor> {
        Processor::new(&self.vm, &self.offered, index)
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

/// Bytes from the shim on that are there at the launch: all that the first small page table maps.
const LOADED_SIZE: u64 = 0x0020_0000;
