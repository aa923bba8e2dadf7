//! The Keep's side of a call.

use core::ptr::NonNull;

use super::{
    Operation, PAYLOAD_SIZE,
    block::{ARGUMENTS, Block, word},
};

/// The largest error number of Linux.
pub const MAX_ERROR: i64 = 4095;

/// One thread's way to the host, while no call is under way.
pub struct Caller {
    block: Block,
    sequence: u64,
}

impl Caller {
    /// A caller that uses the block at `base`.
    ///
    /// # Safety
    ///
    /// `base` is aligned to eight bytes, all [`BLOCK_SIZE`](super::BLOCK_SIZE) bytes from it
    /// are memory that the host may read and write at any time, in which nothing of the Keep lies,
    /// and no other caller uses it.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>) -> Self {
        Self {
            // SAFETY: by this function's own contract.
            block: unsafe { Block::new(base) },
            sequence: 0,
        }
    }

    /// Puts a request together; the host does not see it as one yet.
    ///
    /// # Errors
    ///
    /// [`Violation::PayloadTooLong`] when the pieces together are over [`PAYLOAD_SIZE`].
    pub fn stage<'a>(
        &'a mut self,
        operation: Operation,
        arguments: [u64; ARGUMENTS],
        payload: &[&[u8]],
    ) -> Result<Staged<'a>, Violation> {
        let length = payload.iter().map(|piece| piece.len()).sum::<usize>();
        if length > PAYLOAD_SIZE {
            return Err(Violation::PayloadTooLong);
        }
        match payload {
            [] => {}
            [piece] => self.block.write_payload(0, piece),
            pieces => self.gather(pieces),
        }
        Ok(Staged {
            caller: self,
            operation,
            arguments,
            length,
        })
    }

    /// Copies pieces one behind the other, in whole words.
    fn gather(&self, pieces: &[&[u8]]) {
        const CHUNK: usize = 256;
        let (mut chunk, mut filled, mut offset) = ([0; CHUNK], 0, 0);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let count = rest.len().min(CHUNK - filled);
                chunk[filled..filled + count].copy_from_slice(&rest[..count]);
                (filled, rest) = (filled + count, &rest[count..]);
                if filled == CHUNK {
                    self.block.write_payload(offset, &chunk);
                    (offset, filled) = (offset + CHUNK, 0);
                }
            }
        }
        self.block.write_payload(offset, &chunk[..filled]);
    }
}

/// A request whose payload is written.
#[must_use = "a staged request is not made"]
pub struct Staged<'a> {
    caller: &'a mut Caller,
    operation: Operation,
    arguments: [u64; ARGUMENTS],
    length: usize,
}

impl<'a> Staged<'a> {
    /// Makes the request visible. The Keep has to be left now.
    pub fn commit(self) -> Committed<'a> {
        let block = &self.caller.block;
        self.caller.sequence += 1;
        block.write(word::OPERATION, self.operation as u64);
        block.write(word::LENGTH, self.length as u64);
        for (index, argument) in self.arguments.into_iter().enumerate() {
            block.write(word::ARGUMENTS + 8 * index, argument);
        }
        block.write(word::SEQUENCE, self.caller.sequence);
        Committed {
            caller: self.caller,
        }
    }
}

/// A request that the host can see, and has answered once the Keep is entered again.
#[must_use = "an answer that is not collected was not checked"]
pub struct Committed<'a> {
    caller: &'a mut Caller,
}

impl Committed<'_> {
    /// Whether the host says that it has answered, for a Keep that is not left meanwhile.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.caller.block.read(word::ANSWER_SEQUENCE) == self.caller.sequence
    }

    /// Copies the answer into the Keep: a result of at most `most`, and a payload of at most
    /// as many bytes as `into` has.
    ///
    /// # Errors
    ///
    /// [`Violation`] says how the host lied. The Keep must not go on then.
    pub fn collect(self, most: u64, into: &mut [u8]) -> Result<Answer, Violation> {
        let block = &self.caller.block;
        if block.read(word::ANSWER_SEQUENCE) != self.caller.sequence {
            return Err(Violation::Sequence);
        }
        let result = block.read(word::ANSWER_RESULT).cast_signed();
        let length = block.read(word::ANSWER_LENGTH);
        if result < -MAX_ERROR || result > most.min(i64::MAX.unsigned_abs()).cast_signed() {
            return Err(Violation::Result);
        }
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= into.len() && *length <= PAYLOAD_SIZE)
            .ok_or(Violation::Length)?;
        block.read_payload(&mut into[..length]);
        Ok(Answer { result, length })
    }
}

/// What the host answered, within the bounds that were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Zero or more, or a negated error number.
    pub result: i64,
    /// Bytes of payload that were copied.
    pub length: usize,
}

/// How the host broke the rules of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The answer is to another request, or to none.
    #[error("an answer to another request")]
    Sequence,
    /// A result that cannot be.
    #[error("a result out of range")]
    Result,
    /// More payload than was asked for.
    #[error("a payload that is too long")]
    Length,
    /// The Keep itself wanted to send too much.
    #[error("a request with too much payload")]
    PayloadTooLong,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::{
        super::{BLOCK_SIZE, PAYLOAD_OFFSET, Service, block::test_memory::Memory},
        *,
    };

    fn pair(memory: &Memory) -> (Caller, Service) {
        // SAFETY: the memory outlives both, and is nobody else's.
        unsafe { (Caller::new(memory.base()), Service::new(memory.base())) }
    }

    #[test]
    fn a_request_and_its_answer_cross() {
        let memory = Memory::new();
        let (mut caller, service) = pair(&memory);
        for round in 0..3u64 {
            let staged = caller
                .stage(
                    Operation::Send,
                    [3, round, 0, u64::MAX],
                    &[b"hello, ", b"host"],
                )
                .unwrap();
            let committed = staged.commit();
            let request = service.request().unwrap();
            assert_eq!(request.operation, Operation::Send);
            assert_eq!(request.arguments, [3, round, 0, u64::MAX]);
            let mut payload = vec![0; request.length];
            service.payload(&mut payload);
            assert_eq!(payload, b"hello, host");
            service.answer(&request, 11, b"thank you");
            let mut answer = [0; 16];
            let collected = committed.collect(11, &mut answer).unwrap();
            assert_eq!((collected.result, collected.length), (11, 9));
            assert_eq!(&answer[..9], b"thank you");
        }
    }

    #[test]
    fn payloads_of_every_cut_arrive_whole() {
        let memory = Memory::new();
        let (mut caller, service) = pair(&memory);
        let bytes: Vec<u8> = (0..3000u32).map(|n| (n * 7) as u8).collect();
        for cut in [0, 1, 7, 8, 9, 255, 256, 257, 1000, 2999, 3000] {
            let (first, second) = bytes.split_at(cut);
            let staged = caller
                .stage(Operation::Send, [0; 4], &[first, &[], second])
                .unwrap();
            let committed = staged.commit();
            let request = service.request().unwrap();
            let mut payload = vec![0; request.length];
            service.payload(&mut payload);
            assert!(payload == bytes, "{cut}");
            service.answer(&request, 0, &payload);
            let mut back = vec![0; bytes.len()];
            assert_eq!(committed.collect(0, &mut back).unwrap().length, bytes.len());
            assert!(back == bytes);
        }
        let most = vec![1; PAYLOAD_SIZE];
        assert!(caller.stage(Operation::Send, [0; 4], &[&most]).is_ok());
        assert_eq!(
            caller.stage(Operation::Send, [0; 4], &[&most, &[1]]).err(),
            Some(Violation::PayloadTooLong)
        );
    }

    /// What the host reads is what was staged and nothing else: every other byte of the block
    /// is still the host's own.
    #[test]
    fn nothing_that_was_not_staged_is_ever_written() {
        const HOSTS_OWN: u8 = 0xA5;
        for length in [0usize, 1, 3, 8, 13, 256, 300, 4096] {
            let memory = Memory::new();
            // SAFETY: the whole of the memory, which is not otherwise in use now.
            let bytes =
                unsafe { std::slice::from_raw_parts_mut(memory.base().as_ptr(), BLOCK_SIZE) };
            bytes.fill(HOSTS_OWN);
            let (mut caller, _) = pair(&memory);
            let secret_free: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let _ = caller
                .stage(Operation::Send, [1, 2, 3, 4], &[&secret_free])
                .unwrap()
                .commit();
            let padded = length.next_multiple_of(8);
            assert_eq!(bytes[PAYLOAD_OFFSET..][..length], secret_free);
            assert!(
                bytes[PAYLOAD_OFFSET..][length..padded]
                    .iter()
                    .all(|byte| *byte == 0)
            );
            assert!(
                bytes[PAYLOAD_OFFSET + padded..]
                    .iter()
                    .all(|byte| *byte == HOSTS_OWN)
            );
            assert!(
                bytes[56..PAYLOAD_OFFSET]
                    .iter()
                    .all(|byte| *byte == HOSTS_OWN)
            );
            let words: Vec<u64> = bytes[..56]
                .chunks(8)
                .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
                .collect();
            assert_eq!(
                words,
                [1, Operation::Send as u64, length as u64, 1, 2, 3, 4]
            );
        }
    }

    /// A host that answers with every kind of wrong number is found out, and never makes the
    /// Keep read more than it asked for.
    #[test]
    fn lies_are_found_out() {
        let memory = Memory::new();
        let block = memory.block();
        let (mut caller, _) = pair(&memory);
        let interesting = [
            0,
            1,
            2,
            15,
            16,
            17,
            4096,
            PAYLOAD_SIZE as u64,
            PAYLOAD_SIZE as u64 + 1,
            u64::from(u32::MAX),
            1 << 63,
            u64::MAX,
            (-1i64).cast_unsigned(),
            (-MAX_ERROR).cast_unsigned(),
            (-MAX_ERROR - 1).cast_unsigned(),
        ];
        let mut accepted = 0;
        let mut sequence = 0;
        for answered in interesting {
            for result in interesting {
                for length in interesting {
                    let committed = caller
                        .stage(Operation::Receive, [3, 16, 0, 0], &[])
                        .unwrap()
                        .commit();
                    sequence += 1;
                    // Half of the time the right sequence, so that the rest is looked at.
                    let answered = if answered % 2 == 0 {
                        sequence
                    } else {
                        answered
                    };
                    block.write(word::ANSWER_SEQUENCE, answered);
                    block.write(word::ANSWER_RESULT, result);
                    block.write(word::ANSWER_LENGTH, length);
                    let mut into = [0; 16];
                    let collected = committed.collect(16, &mut into);
                    let result = result.cast_signed();
                    let honest =
                        answered == sequence && (-MAX_ERROR..=16).contains(&result) && length <= 16;
                    assert_eq!(collected.is_ok(), honest, "{answered} {result} {length}");
                    accepted += usize::from(honest);
                }
            }
        }
        assert!(accepted > 50, "{accepted}");
    }
}
