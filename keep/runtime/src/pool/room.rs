//! Address space for one memory or one stack.

use std::{io, ptr::NonNull};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};

/// Address space of this process, of which a part can be accessed: some bytes behind the
/// `front`. What is not accessible holds nothing.
pub struct Room {
    start: NonNull<u8>,
    length: usize,
    front: usize,
    capacity: usize,
    accessible: usize,
}

// SAFETY: it owns its address space, and whoever has the pointer to it answers for its use.
unsafe impl Send for Room {}
// SAFETY: as above; nothing changes through a shared reference.
unsafe impl Sync for Room {}

/// Bytes of a page of this platform.
pub const PAGE: usize = 4096;

/// What is overwritten to clear it, in bytes; the pages of what is behind are given back.
const OVERWRITTEN: usize = 64 << 10;

impl Room {
    /// Address space for at most `capacity` bytes, between `front` bytes and `back` bytes that
    /// can never be accessed. All three are multiples of [`PAGE`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(front: usize, capacity: usize, back: usize) -> io::Result<Self> {
        let length = [front, capacity, back]
            .into_iter()
            .try_fold(0usize, usize::checked_add)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: no address is asked for, so that nothing else is replaced.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::empty(), flags) }?;
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            length,
            front,
            capacity,
            accessible: 0,
        })
    }

    /// Where it begins, with what can never be accessed.
    pub const fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Where what can be accessed begins.
    pub const fn base(&self) -> *mut u8 {
        // SAFETY: `new` reserved more bytes than those in front.
        unsafe { self.start.as_ptr().add(self.front) }
    }

    /// Bytes in front that can never be accessed.
    pub const fn front(&self) -> usize {
        self.front
    }

    /// Bytes that could be made accessible.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that can be accessed.
    pub const fn accessible(&self) -> usize {
        self.accessible
    }

    /// Has the first `size` bytes accessible, rounded up to pages, and no others; those that
    /// were not are zeros.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::OutOfMemory`] over its capacity. Its size is as it was then.
    pub fn resize(&mut self, size: usize) -> io::Result<()> {
        let size = size
            .checked_next_multiple_of(PAGE)
            .filter(|size| *size <= self.capacity)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        if size > self.accessible {
            let allowed = MprotectFlags::READ | MprotectFlags::WRITE;
            self.protect(self.accessible, size, allowed)?;
        } else if size < self.accessible {
            self.discard(size)?;
            self.protect(size, self.accessible, MprotectFlags::empty())?;
        }
        self.accessible = size;
        Ok(())
    }

    /// Has the system make what can be accessed of large pages, as far as they fit and it likes
    /// to: all of such a page is there then as soon as some of it is used.
    pub fn prefer_large_pages(&self) {
        // SAFETY: the range is this one's own, and its content stays as it is. Nothing depends on
        // whether the advice is taken.
        let _ = unsafe { madvise(self.base().cast(), self.accessible, Advice::LinuxHugepage) };
    }

    /// Has all that can be accessed zeros.
    ///
    /// # Errors
    ///
    /// The system's: then it must not be used again.
    pub fn clear(&mut self) -> io::Result<()> {
        let overwritten = self.accessible.min(OVERWRITTEN);
        // SAFETY: so many bytes behind the base are accessible, and nobody else uses them while
        // this is borrowed as the only one.
        unsafe { self.base().write_bytes(0, overwritten) };
        self.discard(overwritten)
    }

    /// Gives back the pages from `begin` on that can be accessed: they are zeros then.
    fn discard(&self, begin: usize) -> io::Result<()> {
        let length = self.accessible - begin;
        if length == 0 {
            return Ok(());
        }
        // SAFETY: the range is accessible and this one's own.
        let discarded = unsafe {
            let begin = self.base().add(begin);
            madvise(begin.cast(), length, Advice::LinuxDontNeed)
        };
        Ok(discarded?)
    }

    fn protect(&self, begin: usize, end: usize, flags: MprotectFlags) -> io::Result<()> {
        // SAFETY: the range lies between front and back, and is this one's own.
        let protected = unsafe { mprotect(self.base().add(begin).cast(), end - begin, flags) };
        Ok(protected?)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: it is this one's own, and nobody uses it any more. There is no remedy for an
        // error, which would leave the address space as it is.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(room: &mut Room) -> &mut [u8] {
        // SAFETY: so many bytes are accessible, and the room is borrowed as the only one.
        unsafe { std::slice::from_raw_parts_mut(room.base(), room.accessible()) }
    }

    #[test]
    fn nothing_is_left_of_what_was_there() {
        const LARGE: usize = 4 * OVERWRITTEN;
        let mut room = Room::new(PAGE, LARGE, PAGE).unwrap();
        room.resize(LARGE).unwrap();
        bytes(&mut room).fill(7);
        room.clear().unwrap();
        assert!(bytes(&mut room).iter().all(|byte| *byte == 0));
        // Nor of what was cut off.
        bytes(&mut room).fill(7);
        room.resize(PAGE).unwrap();
        assert_eq!(bytes(&mut room), [7; PAGE]);
        room.resize(LARGE).unwrap();
        assert!(bytes(&mut room)[PAGE..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn it_has_a_capacity() {
        let mut room = Room::new(PAGE, 2 * PAGE, 0).unwrap();
        room.resize(PAGE + 1).unwrap();
        assert_eq!(room.accessible(), 2 * PAGE);
        for size in [2 * PAGE + 1, usize::MAX] {
            assert!(room.resize(size).is_err());
        }
        assert_eq!(room.accessible(), 2 * PAGE);
        assert!(Room::new(PAGE, usize::MAX, PAGE).is_err());
    }
}
