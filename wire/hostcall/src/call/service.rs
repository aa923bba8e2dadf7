//! The host's side of a call.

use core::ptr::NonNull;

use super::{
    Operation, PAYLOAD_SIZE,
    block::{ARGUMENTS, Block, word},
};

/// The host's end of one thread's block.
pub struct Service {
    block: Block,
}

/// A request as the host copied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    sequence: u64,
    /// What is asked.
    pub operation: Operation,
    /// With what.
    pub arguments: [u64; ARGUMENTS],
    /// Bytes of payload, at most [`PAYLOAD_SIZE`].
    pub length: usize,
}

impl Service {
    /// The host's end of the block at `base`.
    ///
    /// # Safety
    ///
    /// As for [`Caller::new`](super::Caller::new), with the roles exchanged: nothing of the
    /// host's own lies in the block.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>) -> Self {
        Self {
            // SAFETY: by this function's own contract.
            block: unsafe { Block::new(base) },
        }
    }

    /// Reads the request that was made.
    ///
    /// # Errors
    ///
    /// [`MalformedRequest`] names what no Keep asks.
    pub fn request(&self) -> Result<Request, MalformedRequest> {
        let code = self.block.read(word::OPERATION);
        let operation = Operation::from_code(code).ok_or(MalformedRequest::Operation(code))?;
        let length = self.block.read(word::LENGTH);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= PAYLOAD_SIZE)
            .ok_or(MalformedRequest::Length(length))?;
        let argument = |index: usize| self.block.read(word::ARGUMENTS + 8 * index);
        Ok(Request {
            sequence: self.block.read(word::SEQUENCE),
            operation,
            arguments: [argument(0), argument(1), argument(2), argument(3)],
            length,
        })
    }

    /// Copies the beginning of the request's payload.
    ///
    /// # Panics
    ///
    /// When `into` is longer than [`PAYLOAD_SIZE`].
    pub fn payload(&self, into: &mut [u8]) {
        self.block.read_payload(into);
    }

    /// Answers `request`.
    ///
    /// # Panics
    ///
    /// When `payload` is longer than [`PAYLOAD_SIZE`].
    pub fn answer(&self, request: &Request, result: i64, payload: &[u8]) {
        self.block.write_payload(0, payload);
        self.block
            .write(word::ANSWER_RESULT, result.cast_unsigned());
        self.block.write(word::ANSWER_LENGTH, payload.len() as u64);
        self.block.write(word::ANSWER_SEQUENCE, request.sequence);
    }
}

/// What no Keep asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// An operation that does not exist.
    #[error("the Keep asked for the unknown operation {0}")]
    Operation(u64),
    /// A payload over [`PAYLOAD_SIZE`].
    #[error("the Keep announced a payload of {0} bytes")]
    Length(u64),
}

#[cfg(test)]
mod tests {
    use super::{super::block::test_memory::Memory, *};

    #[test]
    fn what_no_keep_asks_is_refused() {
        let memory = Memory::new();
        let block = memory.block();
        // SAFETY: the memory outlives the service.
        let service = unsafe { Service::new(memory.base()) };
        block.write(word::OPERATION, 99);
        assert_eq!(service.request(), Err(MalformedRequest::Operation(99)));
        block.write(word::OPERATION, 1);
        assert!(service.request().is_ok());
        block.write(word::LENGTH, PAYLOAD_SIZE as u64 + 1);
        assert_eq!(
            service.request(),
            Err(MalformedRequest::Length(PAYLOAD_SIZE as u64 + 1))
        );
    }
}
