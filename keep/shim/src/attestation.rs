//! The attestation device, as the runtime reads and writes it.

use alloc::vec::Vec;

use enarx_wire_hostcall::attestation::{AnswerHeader, Operation, REPORT_DATA_SIZE, RequestHeader};
use enarx_wire_launch::PAGE_SIZE;

use crate::{Error, platform::Platform};

/// The runtime's stream to its TEE: requests that are written, answers that are read.
#[derive(Debug)]
pub struct AttestationDevice {
    launch_page: &'static [u8; PAGE_SIZE],
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl AttestationDevice {
    /// A device that describes the Keep by `launch_page`.
    #[must_use]
    pub const fn new(launch_page: &'static [u8; PAGE_SIZE]) -> Self {
        Self {
            launch_page,
            request: Vec::new(),
            answer: Vec::new(),
        }
    }

    /// Takes bytes of a request, and answers it when it is whole.
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for what is no request or goes on behind one.
    pub fn write(&mut self, platform: &impl Platform, bytes: &[u8]) -> Result<u64, Error> {
        if self.request.len() + bytes.len() > RequestHeader::SIZE + REPORT_DATA_SIZE {
            return Err(Error::EINVAL);
        }
        self.request.extend_from_slice(bytes);
        let Some((header, payload)) = self.request.split_first_chunk() else {
            return Ok(bytes.len() as u64);
        };
        let operation = RequestHeader::decode(*header)
            .map_err(|_| Error::EINVAL)?
            .operation;
        if payload.len() < operation.payload_size() {
            return Ok(bytes.len() as u64);
        }
        let (payload, []) = payload.split_at(operation.payload_size()) else {
            return Err(Error::EINVAL);
        };
        let answer = match operation {
            Operation::Describe => Some(self.launch_page.to_vec()),
            Operation::Evidence => payload
                .first_chunk()
                .and_then(|report_data| platform.evidence(report_data)),
            Operation::SealingKey => payload
                .first_chunk()
                .and_then(|request| platform.sealing_key(request))
                .map(|key| key.to_vec()),
            Operation::Extend => payload
                .first_chunk()
                .filter(|digest| platform.record(digest))
                .map(|_| Vec::new()),
        };
        self.request.clear();
        match answer.and_then(|answer| Some((AnswerHeader::new(answer.len()).ok()?, answer))) {
            Some((header, payload)) => {
                self.answer.extend_from_slice(&header.encode());
                self.answer.extend_from_slice(&payload);
            }
            None => self.answer.extend_from_slice(&AnswerHeader::refusal()),
        }
        Ok(bytes.len() as u64)
    }

    /// Gives at most `length` bytes of answers.
    ///
    /// # Errors
    ///
    /// [`Error::EAGAIN`] when there are none: nobody would ever write them while the
    /// runtime waits.
    pub fn read(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        if self.answer.is_empty() {
            return Err(Error::EAGAIN);
        }
        let rest = self.answer.split_off(length.min(self.answer.len()));
        Ok(core::mem::replace(&mut self.answer, rest))
    }
}
