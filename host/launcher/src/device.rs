//! The attestation device of Keeps that are no TEE by themselves: `wire/hostcall`'s
//! [`attestation`](enarx_wire_hostcall::attestation) protocol, answered by whatever gives
//! their evidence.

use std::error::Error;

use enarx_wire_hostcall::attestation::{
    AnswerHeader, DIGEST_SIZE, Operation, REPORT_DATA_SIZE, RequestHeader,
};
use enarx_wire_launch::PAGE_SIZE;

/// The attestation device of one Keep.
pub(crate) struct Device {
    pub launch_page: [u8; PAGE_SIZE],
    pub source: Box<dyn EvidenceSource>,
}

/// Where the evidence of one Keep comes from.
pub(crate) trait EvidenceSource: Send {
    /// Does what the first evidence needs beside its report data.
    fn prepare(&self) {}

    /// Evidence that holds `report_data`, in the format that the launch page names.
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Result<Vec<u8>, Box<dyn Error>>;

    /// Has evidence tell of `digest` from now on, where there is a register for that.
    fn extend(&self, digest: &[u8; DIGEST_SIZE]) {
        let _ = digest;
    }
}

/// Collects requests from a stream, in whatever pieces they arrive.
pub(crate) struct Requests {
    buffer: [u8; RequestHeader::SIZE + REPORT_DATA_SIZE],
    filled: usize,
}

/// A whole request.
pub(crate) enum Request {
    Describe,
    Evidence([u8; REPORT_DATA_SIZE]),
    SealingKey,
    Extend([u8; DIGEST_SIZE]),
}

/// The stream does not follow the protocol.
pub(crate) struct Malformed;

impl Requests {
    pub(crate) const fn new() -> Self {
        Self {
            buffer: [0; RequestHeader::SIZE + REPORT_DATA_SIZE],
            filled: 0,
        }
    }

    /// Where the next bytes belong: never past the request at hand, never empty.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], Malformed> {
        let wanted = self.wanted()?;
        Ok(&mut self.buffer[self.filled..wanted])
    }

    /// Takes note of `count` bytes in [`space`](Self::space) and returns the
    /// request if they complete it.
    pub(crate) fn advance(&mut self, count: usize) -> Result<Option<Request>, Malformed> {
        self.filled += count;
        if self.filled < RequestHeader::SIZE || self.filled < self.wanted()? {
            return Ok(None);
        }
        let request = match self.header()?.operation {
            Operation::Describe => Request::Describe,
            Operation::Evidence => {
                let mut report_data = [0; REPORT_DATA_SIZE];
                report_data.copy_from_slice(&self.buffer[RequestHeader::SIZE..]);
                Request::Evidence(report_data)
            }
            Operation::SealingKey => Request::SealingKey,
            Operation::Extend => {
                let mut digest = [0; DIGEST_SIZE];
                digest.copy_from_slice(&self.buffer[RequestHeader::SIZE..][..DIGEST_SIZE]);
                Request::Extend(digest)
            }
        };
        self.filled = 0;
        Ok(Some(request))
    }

    /// Bytes from the start of the request that are known to be due.
    fn wanted(&self) -> Result<usize, Malformed> {
        if self.filled < RequestHeader::SIZE {
            return Ok(RequestHeader::SIZE);
        }
        Ok(RequestHeader::SIZE + self.header()?.operation.payload_size())
    }

    fn header(&self) -> Result<RequestHeader, Malformed> {
        let mut header = [0; RequestHeader::SIZE];
        header.copy_from_slice(&self.buffer[..RequestHeader::SIZE]);
        RequestHeader::decode(header).map_err(|_| Malformed)
    }
}

impl Device {
    /// The whole answer to a request, header included.
    pub(crate) fn answer(&self, request: &Request) -> Vec<u8> {
        match request {
            Request::Describe => answer(&self.launch_page),
            Request::Extend(digest) => {
                self.source.extend(digest);
                answer(&[])
            }
            Request::Evidence(report_data) => match self.source.evidence(report_data) {
                Ok(evidence) => answer(&evidence),
                Err(error) => {
                    tracing::error!(%error, "no evidence for a Keep");
                    AnswerHeader::refusal().to_vec()
                }
            },
            // Whatever the host knows seals nothing.
            Request::SealingKey => AnswerHeader::refusal().to_vec(),
        }
    }
}

fn answer(payload: &[u8]) -> Vec<u8> {
    match AnswerHeader::new(payload.len()) {
        Ok(header) => [&header.encode()[..], payload].concat(),
        Err(_) => AnswerHeader::refusal().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(requests: &mut Requests, mut bytes: &[u8], most: usize) -> Vec<Request> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let Ok(space) = requests.space() else {
                panic!("well-formed")
            };
            let count = space.len().min(bytes.len()).min(most);
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            match requests.advance(count) {
                Ok(request) => found.extend(request),
                Err(Malformed) => panic!("well-formed"),
            }
        }
        found
    }

    #[test]
    fn requests_are_found_however_they_are_cut() {
        let describe = RequestHeader {
            operation: Operation::Describe,
        };
        let evidence = RequestHeader {
            operation: Operation::Evidence,
        };
        let extend = RequestHeader {
            operation: Operation::Extend,
        };
        let stream = [
            &describe.encode()[..],
            &evidence.encode(),
            &[7; REPORT_DATA_SIZE],
            &extend.encode(),
            &[8; DIGEST_SIZE],
            &describe.encode(),
        ]
        .concat();
        for most in [1, 3, 8, 9, 100] {
            let found = feed(&mut Requests::new(), &stream, most);
            assert!(
                matches!(
                    found[..],
                    [
                        Request::Describe,
                        Request::Evidence(data),
                        Request::Extend(digest),
                        Request::Describe
                    ] if data == [7; REPORT_DATA_SIZE] && digest == [8; DIGEST_SIZE]
                ),
                "{most}"
            );
        }
    }

    #[test]
    fn an_unknown_operation_or_length_is_malformed() {
        for header in [[9, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 65, 0, 0, 0]] {
            let mut requests = Requests::new();
            requests.space().ok().unwrap().copy_from_slice(&header);
            assert!(matches!(requests.advance(8), Err(Malformed)));
        }
    }
}
