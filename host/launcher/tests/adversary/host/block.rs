//! The memory of a thread's calls.

use std::ptr::NonNull;

use enarx_wire_hostcall::call::{BLOCK_SIZE, PAYLOAD_OFFSET, Service};

/// An answer as it lies in the block.
#[derive(Clone)]
pub struct Answer {
    pub sequence: u64,
    pub result: i64,
    pub length: u64,
    pub payload: Vec<u8>,
}

/// A thread's block.
pub struct Block(NonNull<u8>);

impl Block {
    pub fn new() -> Self {
        // SAFETY: a new mapping at an address of the system's choice; it stays for the life
        // of the process.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(address, libc::MAP_FAILED);
        Self(NonNull::new(address.cast()).unwrap())
    }

    pub fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    pub fn service(&self) -> Service {
        // SAFETY: memory of this size that nothing else uses.
        unsafe { Service::new(self.0) }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped with this size, and no enclave runs while tests look at it.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), BLOCK_SIZE) }
    }

    pub fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.bytes()[..8].try_into().unwrap())
    }

    /// Writes an answer with any numbers. The payload is what fits.
    pub fn answer(&self, answer: &Answer) {
        const ANSWER: usize = 64;
        let words = [
            answer.sequence,
            answer.result.cast_unsigned(),
            answer.length,
        ];
        // SAFETY: as for `bytes`, and nothing else refers to it now.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), BLOCK_SIZE) };
        for (index, word) in words.into_iter().enumerate() {
            let at = ANSWER + 8 * index;
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let room = &mut bytes[PAYLOAD_OFFSET..];
        let length = answer.payload.len().min(room.len());
        room[..length].copy_from_slice(&answer.payload[..length]);
    }
}
