//! Memory for a program's machine code.
//!
//! Code is received straight to where it runs: a large program would take longer to copy than
//! to decrypt.

use std::{io, ptr::NonNull, slice, sync::Arc};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{Config, CustomCodeMemory};

/// Memory that is filled with a program's machine code, and then never written again.
pub struct Code {
    start: NonNull<u8>,
    /// Bytes of code.
    size: usize,
    /// Bytes of address space.
    length: usize,
}

// SAFETY: it owns its address space, and nothing changes through a shared reference.
unsafe impl Send for Code {}

impl Code {
    /// Memory for `size` bytes, all of them zeros.
    ///
    /// # Errors
    ///
    /// The system's, when there is not so much memory.
    pub fn new(size: usize) -> io::Result<Self> {
        // The system aligns what is a multiple of large pages to them.
        let unit = if size < LARGE_PAGE { PAGE } else { LARGE_PAGE };
        let length = size
            .max(1)
            .checked_next_multiple_of(unit)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so that nothing else is replaced.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), length, access, MapFlags::PRIVATE) }?;
        let large = size - size % LARGE_PAGE;
        if large > 0 {
            // All of it will be filled, and one large page is made sooner than 512 small ones. It
            // may be refused.
            // SAFETY: the range is this one's own, and its content stays as it is.
            let _ = unsafe { madvise(start, large, Advice::LinuxHugepage) };
        }
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            size,
            length,
        })
    }

    /// The bytes, to be filled.
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are mapped, can be written, and are this one's own.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }

    /// The bytes, which nothing can change any more, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn freeze(self) -> io::Result<NonNull<[u8]>> {
        // SAFETY: the range is this one's own, and nobody borrows it.
        unsafe { mprotect(self.start.as_ptr().cast(), self.length, MprotectFlags::READ) }?;
        let bytes = NonNull::slice_from_raw_parts(self.start, self.size);
        std::mem::forget(self);
        Ok(bytes)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: it is this one's own, and nobody uses it any more. There is no remedy for an
        // error, which would leave the address space as it is.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Has engines of `config` run code in the memory in which it lies.
pub fn run_in_place(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(InPlace)));
}

/// Bytes of a page, and of a large one, of this platform.
const PAGE: usize = 4096;
const LARGE_PAGE: usize = 2 << 20;

/// Makes frozen [`Code`] executable.
struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        let access = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: wasmtime gives whole pages of code that it was given, which are never written again.
        Ok(unsafe { mprotect(start.cast_mut().cast(), length, access) }?)
    }

    /// Frozen code stays as it is until the process ends. A Keep whose program has ended has nothing
    /// to gain from changing that, and could fail at it before it has told the end.
    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_can_be_filled_and_frozen() {
        for size in [0, 1, PAGE, LARGE_PAGE - 1, LARGE_PAGE, 2 * LARGE_PAGE + 5] {
            let mut code = Code::new(size).unwrap();
            assert_eq!(code.bytes_mut().len(), size);
            assert!(code.bytes_mut().iter().all(|byte| *byte == 0));
            code.bytes_mut().fill(7);
            let frozen = code.freeze().unwrap();
            // SAFETY: the bytes are there for as long as the process lives, and never change.
            let bytes = unsafe { frozen.as_ref() };
            assert!(bytes.len() == size && bytes.iter().all(|byte| *byte == 7));
        }
        assert!(Code::new(usize::MAX).is_err());
        assert!(Code::new(1 << 60).is_err());
    }

    #[test]
    fn frozen_code_can_run_and_cannot_be_written() {
        let mut code = Code::new(PAGE).unwrap();
        // `mov eax, 42; ret`
        code.bytes_mut()[..6].copy_from_slice(&[0xb8, 42, 0, 0, 0, 0xc3]);
        let start = code.freeze().unwrap().cast::<u8>().as_ptr();
        let access = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let access_in = |line: &str| {
                let (range, rest) = line.split_once(' ')?;
                let (begin, end) = range.split_once('-')?;
                let [begin, end] = [begin, end].map(|text| usize::from_str_radix(text, 16));
                let is_in_it = (begin.ok()?..end.ok()?).contains(&start.addr());
                is_in_it.then(|| rest[..4].to_owned())
            };
            maps.lines().find_map(access_in).unwrap()
        };
        assert_eq!(access(), "r--p");
        InPlace.publish_executable(start, PAGE).unwrap();
        assert_eq!(access(), "r-xp");
        // SAFETY: the page holds this function, of this signature, and may run.
        let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(start) };
        assert_eq!(function(), 42);
    }
}
