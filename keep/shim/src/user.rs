//! The runtime's memory, as system calls see it.

use alloc::{vec, vec::Vec};

use linux_raw_sys::general::UIO_MAXIOV;

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

    /// Copies 64-bit numbers from `address`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn longs<const N: usize>(&self, address: u64) -> Result<[u64; N], Error> {
        let mut bytes = [[0; 8]; N];
        self.read(address, bytes.as_flattened_mut())?;
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// Copies 64-bit numbers to `address`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_longs<const N: usize>(&self, address: u64, longs: [u64; N]) -> Result<(), Error> {
        self.write(address, longs.map(u64::to_le_bytes).as_flattened())
    }

    /// Copies a 64-bit number from `address`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn long(&self, address: u64) -> Result<u64, Error> {
        self.longs(address).map(|[long]| long)
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

/// A part of the program's memory.
#[derive(Debug, Clone, Copy)]
pub struct Buffer {
    /// Where it begins.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The parts of memory that a call names.
#[derive(Debug, Clone, Copy)]
pub enum Buffers {
    /// A single one.
    One(Buffer),
    /// An array of `iovec`.
    Array {
        /// Where it begins.
        address: u64,
        /// How many there are.
        count: u64,
    },
}

impl Buffers {
    /// What is named.
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for too many, or one in an array that is longer than any memory;
    /// [`Error::EFAULT`] for such a single one, or when the array cannot be read.
    pub fn list(self, memory: &impl UserMemory) -> Result<Vec<Buffer>, Error> {
        const LONGEST: u64 = i64::MAX as u64;
        match self {
            Self::One(buffer) if buffer.length > LONGEST => Err(Error::EFAULT),
            Self::One(buffer) => Ok(vec![buffer]),
            Self::Array { count, .. } if count > UIO_MAXIOV.into() => Err(Error::EINVAL),
            Self::Array { address, count } => {
                let entry = |index: u64| {
                    let [address, length] = memory.longs(address.wrapping_add(16 * index))?;
                    if length > LONGEST {
                        return Err(Error::EINVAL);
                    }
                    Ok(Buffer { address, length })
                };
                (0..count).map(entry).collect()
            }
        }
    }
}
