//! The block: untrusted memory for one call at a time.

use core::ptr::NonNull;

/// Bytes of payload that one call can carry in each direction.
pub const PAYLOAD_SIZE: usize = 1 << 20;

/// Where the payload begins in a block.
pub const PAYLOAD_OFFSET: usize = 4096;

/// Size of a block in bytes. A block is aligned to 4096.
pub const BLOCK_SIZE: usize = PAYLOAD_OFFSET + PAYLOAD_SIZE;

/// Offsets of the words of a block, in bytes. Each word has eight, in the machine's order.
pub(super) mod word {
    pub const SEQUENCE: usize = 0;
    pub const OPERATION: usize = 8;
    pub const LENGTH: usize = 16;
    pub const ARGUMENTS: usize = 24;
    /// The answer lies on a cache line of its own.
    pub const ANSWER_SEQUENCE: usize = 64;
    pub const ANSWER_RESULT: usize = 72;
    pub const ANSWER_LENGTH: usize = 80;
}

/// Arguments of a request.
pub(super) const ARGUMENTS: usize = 4;

/// A block that somebody else may write at any moment.
///
/// All access is by aligned words of eight bytes: partial accesses to untrusted memory can
/// leave stale data of a processor's buffers behind (Intel-SA-00615, Intel-SA-00657).
pub(super) struct Block(NonNull<u64>);

// SAFETY: the pointer is to memory that is shared by its nature; all access is volatile.
unsafe impl Send for Block {}

impl Block {
    /// # Safety
    ///
    /// `base` is aligned to eight bytes, and [`BLOCK_SIZE`] bytes from it stay mapped, readable
    /// and writable for as long as this exists, and nothing in this program's own memory model
    /// lies there.
    pub(super) const unsafe fn new(base: NonNull<u8>) -> Self {
        Self(base.cast())
    }

    pub(super) fn read(&self, offset: usize) -> u64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= BLOCK_SIZE);
        // SAFETY: in the block by `new` and the callers, all of which are in this module and
        // use constants or offsets below PAYLOAD_SIZE.
        unsafe { self.0.add(offset / 8).read_volatile() }
    }

    pub(super) fn write(&self, offset: usize, value: u64) {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= BLOCK_SIZE);
        // SAFETY: as in `read`.
        unsafe { self.0.add(offset / 8).write_volatile(value) }
    }

    /// Copies `bytes` to `offset` of the payload, a multiple of eight; the last word is filled
    /// up with zeros.
    pub(super) fn write_payload(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.is_multiple_of(8) && offset + bytes.len() <= PAYLOAD_SIZE);
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write(
                PAYLOAD_OFFSET + offset + 8 * index,
                u64::from_ne_bytes(word),
            );
        }
    }

    /// Copies the payload's first bytes, each word read once.
    pub(super) fn read_payload(&self, into: &mut [u8]) {
        assert!(into.len() <= PAYLOAD_SIZE);
        for (index, chunk) in into.chunks_mut(8).enumerate() {
            let word = self.read(PAYLOAD_OFFSET + 8 * index).to_ne_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
pub(super) mod test_memory {
    //! A block of ordinary memory.

    extern crate std;

    use std::{boxed::Box, ptr::NonNull, vec};

    use super::{BLOCK_SIZE, Block};

    pub struct Memory(NonNull<u64>);

    impl Memory {
        pub fn new() -> Self {
            let words = vec![0u64; BLOCK_SIZE / 8].into_boxed_slice();
            Self(NonNull::new(Box::into_raw(words).cast::<u64>()).unwrap())
        }

        pub fn base(&self) -> NonNull<u8> {
            self.0.cast()
        }

        pub fn block(&self) -> Block {
            // SAFETY: BLOCK_SIZE bytes, which live as long as the memory, and tests keep it
            // longer than their blocks.
            unsafe { Block::new(self.base()) }
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            let words = std::ptr::slice_from_raw_parts_mut(self.0.as_ptr(), BLOCK_SIZE / 8);
            // SAFETY: from `into_raw` of a box of just this slice.
            drop(unsafe { Box::from_raw(words) });
        }
    }
}
