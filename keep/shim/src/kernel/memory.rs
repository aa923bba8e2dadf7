//! The calls on memory, and the memory of calls.

use core::slice;

use linux_raw_sys::general;

use super::Kernel;
use crate::{Error, UserMemory, memory::Access, platform::Platform};

impl<P: Platform> Kernel<P> {
    pub(super) fn mmap(
        &self,
        [address, length, protection, flags, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        let has = |flag: u32| flags & u64::from(flag) != 0;
        if !has(general::MAP_ANONYMOUS) {
            // Files are no pages here, and no program of ours maps one.
            return Err(Error::ENODEV);
        }
        if !has(general::MAP_PRIVATE) && !has(general::MAP_SHARED) {
            return Err(Error::EINVAL);
        }
        let access = Access::from_protection(protection)?;
        let mut space = self.space.lock();
        // Where it is not fixed, the address is a wish.
        if has(general::MAP_FIXED) {
            space.map_fixed(&self.platform, address, length, access)
        } else {
            space.map(&self.platform, length, access)
        }
    }

    pub(super) fn mprotect(
        &self,
        [address, length, protection, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        let access = Access::from_protection(protection)?;
        let mut space = self.space.lock();
        space.protect(&self.platform, address, length, access)?;
        Ok(0)
    }

    pub(super) fn munmap(&self, [address, length, ..]: [u64; 6]) -> Result<u64, Error> {
        let mut space = self.space.lock();
        space.unmap(&self.platform, address, length)?;
        Ok(0)
    }

    pub(super) fn madvise(&self, [address, length, advice, ..]: [u64; 6]) -> Result<u64, Error> {
        // All else is about speed, and may be refused.
        if advice != general::MADV_DONTNEED.into() {
            return Err(Error::EINVAL);
        }
        let mut space = self.space.lock();
        space.discard(&self.platform, address, length)?;
        Ok(0)
    }

    pub(super) fn brk(&self, end: u64) -> u64 {
        self.space.lock().set_break(&self.platform, end)
    }

    /// The bytes at `address`, to be handed to the host without another copy.
    ///
    /// # Errors
    ///
    /// [`Error::EFAULT`] when they cannot be read.
    pub(super) fn borrow(&self, address: u64, length: u64) -> Result<&[u8], Error> {
        if length == 0 {
            return Ok(&[]);
        }
        let mut space = self.space.lock();
        space.prepare(&self.platform, address, length, Access::READ)?;
        // SAFETY: the pages exist and can be read, by the line above. A program that changes a
        // buffer while a call reads it has a race of its own; what is read then is one or
        // the other byte, in code that looks at no byte twice. One that unmaps it meanwhile
        // makes the shim fault, which stops the Keep.
        Ok(unsafe { slice::from_raw_parts(address as *const u8, length as usize) })
    }

    /// The bytes at `address`, to be filled by the host's answer without another copy.
    ///
    /// # Errors
    ///
    /// [`Error::EFAULT`] when they cannot be written.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn borrow_mut(&self, address: u64, length: u64) -> Result<&mut [u8], Error> {
        if length == 0 {
            return Ok(&mut []);
        }
        let mut space = self.space.lock();
        space.prepare(&self.platform, address, length, Access::WRITE)?;
        // SAFETY: as for `borrow`; the buffer is the calling thread's own for the time of
        // the call, as for every system call that fills one.
        Ok(unsafe { slice::from_raw_parts_mut(address as *mut u8, length as usize) })
    }
}

impl<P: Platform> UserMemory for Kernel<P> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Error> {
        into.copy_from_slice(self.borrow(address, into.len() as u64)?);
        Ok(())
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.borrow_mut(address, bytes.len() as u64)?
            .copy_from_slice(bytes);
        Ok(())
    }
}
