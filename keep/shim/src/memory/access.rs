//! What may be done with a page.

use crate::Error;

/// What may be done with a page: the bits of `PROT_*`, which are those of SGX and ELF too,
/// read 1, write 2, execute 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read.
    pub const READ: Self = Self(1);
    /// Write; the hardware wants it together with read.
    pub const WRITE: Self = Self(2);
    /// Execute.
    pub const EXECUTE: Self = Self(4);
    /// Read and write: what new pages have.
    pub const READ_WRITE: Self = Self(3);

    /// The access that the `prot` argument of `mmap` and `mprotect` asks for.
    ///
    /// # Errors
    ///
    /// [`Error::EACCES`] for memory that could be written and executed, which no Keep has, and
    /// [`Error::EINVAL`] for bits that are not known.
    pub fn from_protection(protection: u64) -> Result<Self, Error> {
        let bits = u8::try_from(protection)
            .ok()
            .filter(|bits| *bits <= 7)
            .ok_or(Error::EINVAL)?;
        let mut access = Self(bits);
        if access.allows(Self::WRITE) || access.allows(Self::EXECUTE) {
            // As on x86 page tables, neither exists without reading.
            access.0 |= Self::READ.0;
        }
        if access.allows(Self::WRITE) && access.allows(Self::EXECUTE) {
            return Err(Error::EACCES);
        }
        Ok(access)
    }

    /// Whether everything that `other` permits is permitted.
    #[must_use]
    pub const fn allows(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both permit.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}
