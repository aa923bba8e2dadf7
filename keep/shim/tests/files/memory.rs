//! Memory that the arguments of calls point to.

use std::cell::RefCell;

use enarx_keep_shim::{Error, UserMemory};

/// Strings have this much room.
const STRING: usize = 8 * 1024;

/// Where buffers begin.
const BUFFER: usize = 3 * STRING;

/// Some memory, with its true addresses.
pub struct Memory(RefCell<Vec<u8>>);

/// An address that is not mapped.
pub const UNMAPPED: u64 = 16;

impl Memory {
    /// The length of the buffer.
    pub const BUFFER_LENGTH: usize = 160 * 1024;

    pub fn new() -> Self {
        Self(RefCell::new(vec![0xee; BUFFER + Self::BUFFER_LENGTH]))
    }

    /// Puts a string with a zero behind it into one of three places.
    pub fn string(&self, place: usize, string: &[u8]) -> u64 {
        let start = place * STRING;
        let mut bytes = self.0.borrow_mut();
        bytes[start..start + string.len()].copy_from_slice(string);
        bytes[start + string.len()] = 0;
        bytes.as_ptr() as u64 + start as u64
    }

    /// Where the buffer is.
    pub fn buffer(&self) -> u64 {
        self.0.borrow().as_ptr() as u64 + BUFFER as u64
    }

    /// Puts bytes into the buffer.
    pub fn fill(&self, offset: usize, bytes: &[u8]) -> u64 {
        let start = BUFFER + offset;
        self.0.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        self.buffer() + offset as u64
    }

    /// What is in the buffer.
    pub fn filled(&self, count: usize) -> Vec<u8> {
        self.0.borrow()[BUFFER..BUFFER + count].to_vec()
    }

    pub fn save(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }

    pub fn restore(&self, saved: &[u8]) {
        self.0.borrow_mut().copy_from_slice(saved);
    }

    fn place(&self, address: u64, length: usize) -> Result<usize, Error> {
        let bytes = self.0.borrow();
        let start = address.wrapping_sub(bytes.as_ptr() as u64);
        match start.checked_add(length as u64) {
            Some(end) if end <= bytes.len() as u64 => Ok(start as usize),
            _ => Err(Error::EFAULT),
        }
    }
}

impl UserMemory for Memory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Error> {
        let start = self.place(address, into.len())?;
        into.copy_from_slice(&self.0.borrow()[start..start + into.len()]);
        Ok(())
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = self.place(address, bytes.len())?;
        self.0.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
