//! The enclave's memory and its EPCM.
//!
//! Every page's real protection is what its EPCM entry allows, so that the
//! processor's own page tables do the checking. One lock serialises all changes;
//! it can be taken in a signal handler, and nothing that could fault is done
//! under it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::page::{EXECUTE, PAGE_SIZE, Page, READ, WRITE};

/// ELRANGE, reserved and readable, with one EPCM entry a page.
pub(super) struct Memory {
    base: u64,
    size: u64,
    /// Where the mapping begins: an offset.
    start: u64,
    entries: NonNull<AtomicU16>,
    changing: AtomicBool,
}

// SAFETY: the two mappings stay until the value is dropped. The entries are
// atomic, and everything that touches the pages' bytes goes through raw pointers.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Reserves `size` bytes at `base`, all of it writable until [`protect`](Self::protect).
    pub(super) fn reserve(base: u64, size: u64) -> io::Result<Self> {
        let length = usize::try_from(size).map_err(io::Error::other)?;
        let entries = map(0, length / PAGE_SIZE * size_of::<AtomicU16>())?;
        // Below, Linux lets programs map nothing (`vm.mmap_min_addr`).
        let start = LOWEST_ADDRESS.saturating_sub(base);
        if let Err(error) = map(base + start, length - start as usize) {
            unmap(entries, length / PAGE_SIZE * size_of::<AtomicU16>());
            return Err(error);
        }
        // As the kernel does with real enclaves. Only kernels without core dumps refuse it.
        leave_out_of_dumps((base + start) as *mut libc::c_void, length - start as usize);
        Ok(Self {
            base,
            size,
            start,
            entries: entries.cast(),
            changing: AtomicBool::new(false),
        })
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The offset of `address` if `length` bytes from it are in ELRANGE.
    pub(super) fn offset_of(&self, address: u64, length: u64) -> Option<u64> {
        let offset = address.checked_sub(self.base())?;
        (offset.checked_add(length)? <= self.size).then_some(offset)
    }

    /// Whether there can be a page at `offset`: not at addresses that the kernel keeps free.
    pub(super) fn can_have_page(&self, offset: u64) -> bool {
        (self.start..self.size).contains(&offset)
    }

    /// Lets `length` bytes of a file, from `position`, lie at `offset` of an enclave under
    /// construction. What is written there changes a copy.
    pub(super) fn map_file(
        &self,
        offset: u64,
        length: u64,
        file: BorrowedFd<'_>,
        position: u64,
    ) -> io::Result<()> {
        let position = libc::off_t::try_from(position).map_err(io::Error::other)?;
        let start: *mut libc::c_void = self.pointer(offset).cast();
        // SAFETY: the range is within ELRANGE, which belongs to the enclave alone: no Rust
        // reference points into it.
        let mapped = unsafe {
            libc::mmap(
                start,
                length as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_NORESERVE | libc::MAP_FIXED,
                file.as_raw_fd(),
                position,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        leave_out_of_dumps(start, length as usize);
        Ok(())
    }

    /// Waits for other changes to end, and keeps new ones away.
    pub(super) fn pages(&self) -> Pages<'_> {
        const SPINS: u32 = 100;
        let mut tries = 0;
        while self
            .changing
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            tries += 1;
            if tries % SPINS == 0 {
                // SAFETY: takes no arguments, and may be called in a signal handler.
                unsafe { libc::sched_yield() };
            } else {
                std::hint::spin_loop();
            }
        }
        Pages { memory: self }
    }

    /// Makes every page's protection what its entry says: the end of construction. `added`
    /// are the offsets of all valid pages, in ascending order.
    pub(super) fn protect(&self, added: &[u64]) -> io::Result<()> {
        let pages = self.pages();
        self.protect_range(self.start, self.size - self.start, 0)?;
        let access = |offset: u64| pages.get(offset).map_or(0, Page::access);
        let is_one_run = |before: &u64, after: &u64| {
            *after == *before + PAGE_SIZE as u64 && access(*after) == access(*before)
        };
        for run in added.chunk_by(is_one_run) {
            let length = run.len() as u64 * PAGE_SIZE as u64;
            self.protect_range(run[0], length, access(run[0]))?;
        }
        Ok(())
    }

    fn protect_range(&self, offset: u64, length: u64, access: u16) -> io::Result<()> {
        // SAFETY: the range is within ELRANGE, which belongs to the enclave alone: no Rust
        // reference points into it.
        let result = unsafe {
            libc::mprotect(
                self.pointer(offset).cast(),
                length as usize,
                protection(access),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn pointer(&self, offset: u64) -> *mut u8 {
        debug_assert!(self.can_have_page(offset));
        (self.base + offset) as *mut u8
    }

    fn entry(&self, offset: u64) -> &AtomicU16 {
        let index = offset / PAGE_SIZE as u64;
        debug_assert!(index < self.size / PAGE_SIZE as u64);
        // SAFETY: offsets are within ELRANGE, for every page of which there is an entry.
        unsafe { self.entries.add(index as usize).as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        unmap(
            self.entries.cast(),
            self.size as usize / PAGE_SIZE * size_of::<AtomicU16>(),
        );
        if let Some(start) = NonNull::new(self.pointer(self.start)) {
            unmap(start, (self.size - self.start) as usize);
        }
    }
}

/// The EPCM while no one else changes it. Offsets are within ELRANGE.
pub(super) struct Pages<'memory> {
    memory: &'memory Memory,
}

impl Pages<'_> {
    /// The page at `offset`, or `None` if there is none.
    pub(super) fn get(&self, offset: u64) -> Option<Page> {
        Page::from_entry(self.memory.entry(offset).load(Ordering::Relaxed))
    }

    /// Changes an entry, and the real protection with it.
    pub(super) fn set(&self, offset: u64, page: Page) -> io::Result<()> {
        let before = self.get(offset).map_or(0, Page::access);
        self.record(offset, page);
        if page.access() == before {
            return Ok(());
        }
        self.memory
            .protect_range(page_start(offset), PAGE_SIZE as u64, page.access())
    }

    /// Changes an entry of an enclave under construction, or to one that allows
    /// as much as before.
    pub(super) fn record(&self, offset: u64, page: Page) {
        self.memory
            .entry(offset)
            .store(page.entry(), Ordering::Relaxed);
    }

    /// Reads bytes of one page that the enclave may read or execute.
    pub(super) fn read<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let page = self.get(offset)?;
        if page.access() & (READ | EXECUTE) == 0 || !in_one_page(offset, N) {
            return None;
        }
        Some(self.read_under_construction(offset))
    }

    /// Reads bytes of one page while all pages are accessible.
    pub(super) fn read_under_construction<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        // SAFETY: in one page of ELRANGE that is mapped readable: by its entry, which cannot
        // change meanwhile, or since the enclave is under construction.
        unsafe {
            std::ptr::copy_nonoverlapping(self.memory.pointer(offset), bytes.as_mut_ptr(), N);
        }
        bytes
    }

    /// Writes bytes into one page, whatever the enclave may do with it: the
    /// processor writes where its own structures are after it has checked them.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(in_one_page(offset, bytes.len()));
        self.with_access(offset, |pointer| {
            // SAFETY: in one page of ELRANGE, which is writable for as long as this runs.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer, bytes.len()) }
        })
    }

    /// Reads bytes of one page, whatever the enclave may do with it.
    pub(super) fn read_always(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        debug_assert!(in_one_page(offset, bytes.len()));
        self.with_access(offset, |pointer| {
            // SAFETY: in one page of ELRANGE, which is readable for as long as this runs.
            unsafe { std::ptr::copy_nonoverlapping(pointer, bytes.as_mut_ptr(), bytes.len()) }
        })
    }

    /// Writes a page of an enclave under construction.
    pub(super) fn fill(&self, offset: u64, contents: &[u8; PAGE_SIZE]) {
        // SAFETY: a whole page of ELRANGE, all of which is writable during construction.
        unsafe {
            std::ptr::copy_nonoverlapping(
                contents.as_ptr(),
                self.memory.pointer(page_start(offset)),
                PAGE_SIZE,
            );
        }
    }

    /// Takes a page out of the EPCM, with its contents.
    pub(super) fn remove(&self, offset: u64) -> io::Result<()> {
        self.with_access(offset, |pointer| {
            // SAFETY: a whole page of ELRANGE, which is writable for as long as this runs.
            unsafe { std::ptr::write_bytes(pointer, 0, PAGE_SIZE) }
        })?;
        self.memory.entry(offset).store(0, Ordering::Relaxed);
        self.memory
            .protect_range(page_start(offset), PAGE_SIZE as u64, 0)
    }

    /// Replaces a byte of code where it may be running in other threads: the page stays
    /// accessible as it is meanwhile, and each of them finds the old byte or the new one.
    pub(super) fn patch(&self, offset: u64, byte: u8) -> io::Result<()> {
        let start = page_start(offset);
        let access = self.get(offset).map_or(0, Page::access);
        self.memory
            .protect_range(start, PAGE_SIZE as u64, access | READ | WRITE)?;
        // SAFETY: in ELRANGE, and writable since the line above.
        unsafe { self.memory.pointer(offset).write_volatile(byte) };
        self.memory.protect_range(start, PAGE_SIZE as u64, access)
    }

    fn with_access(&self, offset: u64, action: impl FnOnce(*mut u8)) -> io::Result<()> {
        let access = self.get(offset).map_or(0, Page::access);
        let is_writable = access & (READ | WRITE) == READ | WRITE;
        let start = page_start(offset);
        if !is_writable {
            self.memory
                .protect_range(start, PAGE_SIZE as u64, READ | WRITE)?;
        }
        action(self.memory.pointer(offset));
        if !is_writable {
            self.memory.protect_range(start, PAGE_SIZE as u64, access)?;
        }
        Ok(())
    }
}

impl Drop for Pages<'_> {
    fn drop(&mut self) {
        self.memory.changing.store(false, Ordering::Release);
    }
}

pub(super) fn page_start(offset: u64) -> u64 {
    offset & !(PAGE_SIZE as u64 - 1)
}

fn in_one_page(offset: u64, length: usize) -> bool {
    offset as usize % PAGE_SIZE + length <= PAGE_SIZE
}

/// Page tables cannot express "execute, but do not read" without protection keys.
fn protection(access: u16) -> libc::c_int {
    let mut protection = libc::PROT_NONE;
    if access & (READ | EXECUTE) != 0 {
        protection |= libc::PROT_READ;
    }
    if access & WRITE != 0 {
        protection |= libc::PROT_WRITE;
    }
    if access & EXECUTE != 0 {
        protection |= libc::PROT_EXEC;
    }
    protection
}

/// The lowest address that programs can map on Linux as it is usually configured.
const LOWEST_ADDRESS: u64 = 64 << 10;

/// Maps memory that costs nothing until it is touched; at `address` unless that is 0.
fn map(address: u64, length: usize) -> io::Result<NonNull<u8>> {
    let fixed = if address == 0 {
        0
    } else {
        libc::MAP_FIXED_NOREPLACE
    };
    // SAFETY: a new mapping, which replaces none.
    let pointer = unsafe {
        libc::mmap(
            address as *mut libc::c_void,
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed,
            -1,
            0,
        )
    };
    if pointer == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(pointer.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Leaves memory out of core dumps.
pub(super) fn leave_out_of_dumps(start: *mut libc::c_void, length: usize) {
    // SAFETY: changes what is written into a dump, and no memory.
    unsafe { libc::madvise(start, length, libc::MADV_DONTDUMP) };
}

fn unmap(pointer: NonNull<u8>, length: usize) {
    // SAFETY: what `map` made and nothing refers to any more.
    unsafe { libc::munmap(pointer.as_ptr().cast(), length) };
}
