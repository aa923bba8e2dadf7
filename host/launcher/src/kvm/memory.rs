//! Memory of a virtual machine.

use std::io;
use std::ptr::{self, NonNull};
use std::{slice, thread};

use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::layout;
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};

const LARGE_PAGE: usize = layout::LARGE_PAGE as usize;

/// A range of pages of this process, all zeros at first, that costs nothing until it is used.
pub(super) struct Memory {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the memory belongs to whoever has this, in whatever thread.
unsafe impl Send for Memory {}
// SAFETY: shared references give addresses, and no access but by raw pointers.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(size: u64) -> io::Result<Self> {
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping, at an address of the system's choice.
        let address = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let base = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, size })
    }

    /// Asks for large pages, which are quicker to get and to translate.
    pub(super) fn prefer_large_pages(&self) {
        // SAFETY: advice about a mapping of this one's own. A kernel that does not take it gives
        // small pages.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.size, Advice::LinuxHugepage) };
    }

    /// Writes `bytes` at `offset`, before anything else uses the memory.
    ///
    /// # Panics
    ///
    /// When they do not fit.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        assert!(
            offset <= self.size && bytes.len() <= self.size - offset,
            "within the memory"
        );
        // SAFETY: within the mapping, by the line above; nobody else uses it yet.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr().add(offset), bytes.len());
        }
    }

    /// Writes `bytes` at `offset` likewise, half of them in another thread: most of the time is the system's, which
    /// zeroes the memory first.
    ///
    /// # Errors
    ///
    /// When there can be no other thread.
    ///
    /// # Panics
    ///
    /// When they do not fit.
    pub(super) fn write_in_two_threads(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        // SAFETY: the mapping, all of which can be read and written; nobody else uses it yet.
        let all = unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.size) };
        let (before, into) = all.split_at_mut(offset);
        // Where a large page begins.
        let half = (before.len() + bytes.len() / 2).next_multiple_of(LARGE_PAGE) - before.len();
        let (first, second) = bytes.split_at(half.min(bytes.len()));
        let (into_first, into_second) = into[..bytes.len()].split_at_mut(first.len());
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, || into_second.copy_from_slice(second))?;
            into_first.copy_from_slice(first);
            Ok(())
        })
    }

    /// Permits or forbids all access to `size` bytes from `offset` on, for this process and for machines
    /// that have the memory.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub(super) fn permit(&self, offset: u64, size: u64, access: bool) -> io::Result<()> {
        assert!(
            offset
                .checked_add(size)
                .is_some_and(|end| end <= self.size()),
            "within the memory"
        );
        let flags = if access {
            MprotectFlags::READ | MprotectFlags::WRITE
        } else {
            MprotectFlags::empty()
        };
        // SAFETY: within the mapping, by the lines above. Nothing of this program's lies there, and it
        // reads nothing there after a machine has the memory.
        unsafe {
            let start = self.base.as_ptr().add(offset as usize);
            Ok(mprotect(start.cast(), size as usize, flags)?)
        }
    }

    /// Gives `size` bytes from `offset` on back to the system, with what is in them: whoever uses them again
    /// finds zeros.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::InvalidInput`] when there are not so many, or they are no whole pages.
    pub(super) fn give_back(&self, offset: u64, size: u64) -> io::Result<()> {
        let is_within = offset
            .checked_add(size)
            .is_some_and(|end| end <= self.size());
        if !is_within || !(offset | size).is_multiple_of(PAGE_SIZE as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: pages of the mapping, by the lines above. This program has no references to any of it.
        unsafe {
            let start = self.base.as_ptr().add(offset as usize);
            Ok(madvise(start.cast(), size as usize, Advice::LinuxDontNeed)?)
        }
    }

    /// Where it lies in this process.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size as u64
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and not used any more. If it fails, memory
        // stays mapped that nobody uses.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.size) };
    }
}
