//! The runtime's memory, as system calls see it.

use alloc::vec::Vec;

use crate::Error;

/// Memory of the program that makes system calls.
///
/// All access that system calls make to what their arguments point to goes through here.
pub trait UserMemory {
    /// Copies from `address`.
    ///
    /// # Errors
    ///
    /// [`Error::EFAULT`] when some of it is not mapped or cannot be read.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Error>;

    /// Copies to `address`.
    ///
    /// # Errors
    ///
    /// [`Error::EFAULT`] when some of it is not mapped or cannot be written.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Copies an array from `address`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies a 64-bit number from `address`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn long(&self, address: u64) -> Result<u64, Error> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// Copies a 32-bit number from `address`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn word(&self, address: u64) -> Result<u32, Error> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// Copies a string that ends with zero from `address`, without the zero.
    ///
    /// # Errors
    ///
    /// [`Error::ENAMETOOLONG`] when it has `limit` bytes or more; otherwise as
    /// [`read`](Self::read).
    fn string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Error> {
        const PIECE: u64 = 64;
        let mut string = Vec::new();
        let mut at = address;
        while string.len() < limit {
            // Up to a multiple of the piece, so that no page behind the string's end is touched.
            let mut piece = [0; PIECE as usize];
            let count = (PIECE - at % PIECE) as usize;
            self.read(at, &mut piece[..count])?;
            if let Some(end) = piece[..count].iter().position(|byte| *byte == 0) {
                string.extend_from_slice(&piece[..end]);
                return if string.len() < limit {
                    Ok(string)
                } else {
                    Err(Error::ENAMETOOLONG)
                };
            }
            string.extend_from_slice(&piece[..count]);
            at += count as u64;
        }
        Err(Error::ENAMETOOLONG)
    }
}
