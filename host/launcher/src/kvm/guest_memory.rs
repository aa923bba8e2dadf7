//! Private memory of a machine in a TEE of the processor's own.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, fallocate};

/// Memory that lies one behind the other in the machine, and that this process cannot map.
pub(super) struct GuestMemory {
    /// Guest physical address of its first byte.
    pub first: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Where it comes from (`KVM_CREATE_GUEST_MEMFD`).
    pub file: OwnedFd,
}

impl GuestMemory {
    /// Gives what the machine has of it from `address` on, at most `size` bytes, back to the system.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn give_back(&self, address: u64, size: u64) -> io::Result<()> {
        let start = address.max(self.first);
        let end = address.saturating_add(size).min(self.first + self.size);
        if start >= end {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(
            &self.file,
            flags,
            start - self.first,
            end - start,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn what_the_guest_shares_is_given_back_and_nothing_else() {
        const PAGE: u64 = 4096;
        const FIRST: u64 = 0x10_0000;
        let file: File = memfd_create(c"memory", MemfdFlags::empty()).unwrap().into();
        let memory = GuestMemory {
            first: FIRST,
            size: 4 * PAGE,
            file: file.try_clone().unwrap().into(),
        };
        let left_after = |address, size| {
            file.write_all_at(&[7; 4 * PAGE as usize], 0).unwrap();
            memory.give_back(address, size).unwrap();
            let mut all = [0; 4 * PAGE as usize];
            file.read_exact_at(&mut all, 0).unwrap();
            [0, 1, 2, 3].map(|page| all[page * PAGE as usize] == 7)
        };
        let (yes, no) = (true, false);
        assert_eq!(left_after(FIRST + PAGE, 2 * PAGE), [yes, no, no, yes]);
        assert_eq!(left_after(FIRST + 3 * PAGE, 9 * PAGE), [yes, yes, yes, no]);
        assert_eq!(left_after(FIRST - PAGE, 2 * PAGE), [no, yes, yes, yes]);
        for (address, size) in [(0, FIRST), (FIRST + 4 * PAGE, u64::MAX), (FIRST, 0)] {
            assert_eq!(left_after(address, size), [yes; 4], "{address:#x}");
        }
    }
}
