//! The memory of a call block.

use std::io;
use std::ptr::{self, NonNull};

use enarx_wire_hostcall::call::{BLOCK_SIZE, Service};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// One thread's call block, in pages of its own: a Keep may write it at any time.
pub(crate) struct BlockMemory(NonNull<u8>);

impl BlockMemory {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a new mapping, at an address of the system's choice.
        let address = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                BLOCK_SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        NonNull::new(address.cast())
            .map(Self)
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Where it lies.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// The host's end of it, for as long as the memory.
    pub(crate) fn service(&self) -> Service {
        // SAFETY: mapped, aligned to pages, of the size of a block, and used by nothing else;
        // the callers in this module keep the memory for longer.
        unsafe { Service::new(self.0) }
    }
}

impl Drop for BlockMemory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and not used any more. If it fails, memory
        // stays mapped that nobody uses.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), BLOCK_SIZE) };
    }
}
