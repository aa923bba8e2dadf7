//! The calls that ask what the program is, and may have.

use linux_raw_sys::general;

use super::{Kernel, OPEN_FILES};
use crate::{Error, UserMemory, platform::Platform, registers::Registers};

impl<P: Platform> Kernel<P> {
    /// `struct new_utsname`: six strings of 65 bytes.
    pub(super) fn uname(&self, into: u64) -> Result<u64, Error> {
        const FIELD: usize = 65;
        let mut bytes = [0; 6 * FIELD];
        // The release is that of the Linux whose calls are served.
        let fields: [&[u8]; 6] = [b"Linux", b"keep", b"6.6.0", b"enarx", b"x86_64", b""];
        for (place, text) in bytes.chunks_exact_mut(FIELD).zip(fields) {
            place[..text.len()].copy_from_slice(text);
        }
        UserMemory::write(self, into, &bytes)?;
        Ok(0)
    }

    pub(super) fn limits(&self, [_, resource, new, old, ..]: [u64; 6]) -> Result<u64, Error> {
        const STACK: u64 = 8 << 20;
        if new != 0 {
            return Err(Error::EPERM);
        }
        let limit = match u32::try_from(resource) {
            Ok(general::RLIMIT_STACK) => STACK,
            Ok(general::RLIMIT_NOFILE) => OPEN_FILES.into(),
            Ok(general::RLIMIT_DATA) => self.memory_bytes,
            Ok(general::RLIMIT_CORE | general::RLIMIT_MEMLOCK) => 0,
            Ok(resource) if resource < general::RLIM_NLIMITS => u64::MAX,
            _ => return Err(Error::EINVAL),
        };
        if old != 0 {
            self.write_longs(old, [limit; 2])?;
        }
        Ok(0)
    }

    pub(super) fn architecture_control(
        &self,
        [code, address, ..]: [u64; 6],
        registers: &mut Registers,
    ) -> Result<u64, Error> {
        const ARCH_SET_FS: u64 = 0x1002;
        const ARCH_GET_FS: u64 = 0x1003;
        match code {
            ARCH_SET_FS => registers.fs_base = canonical(address)?,
            ARCH_GET_FS => self.write_longs(address, [registers.fs_base])?,
            _ => return Err(Error::EINVAL),
        }
        Ok(0)
    }

    pub(super) fn getrandom(&self, [into, length, ..]: [u64; 6]) -> Result<u64, Error> {
        /// Linux serves this much at once too.
        const MOST: u64 = 256;
        let length = length.min(MOST);
        self.platform.random(self.borrow_mut(into, length)?);
        Ok(length)
    }
}

/// A processor faults on others.
pub(super) fn canonical(address: u64) -> Result<u64, Error> {
    const END: u64 = 1 << 47;
    if address < END {
        Ok(address)
    } else {
        Err(Error::EPERM)
    }
}
