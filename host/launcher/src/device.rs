//! The attestation device of Keeps that have no TEE: `wire/hostcall`'s
//! [`attestation`](enarx_wire_hostcall::attestation) protocol, answered by the
//! simulator.

use std::sync::Arc;

use enarx_host_simulator::snp::{GuestPolicy, ReportRequest, SecureProcessor, Vmpl};
use enarx_wire_hostcall::attestation::{AnswerHeader, Operation, REPORT_DATA_SIZE, RequestHeader};
use enarx_wire_launch::{Digest, PAGE_SIZE};

/// What a simulated TEE knows of one Keep.
pub(crate) struct Device {
    pub processor: Arc<SecureProcessor>,
    pub launch_page: [u8; PAGE_SIZE],
    pub measurement: Digest,
    pub host_data: [u8; 32],
    pub report_id: [u8; 32],
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
            Request::Evidence(report_data) => {
                let report = self.processor.report(&ReportRequest {
                    report_data: *report_data,
                    measurement: self.measurement,
                    host_data: self.host_data,
                    policy: GuestPolicy::STANDARD,
                    vmpl: Vmpl::Zero,
                    report_id: self.report_id,
                });
                match report {
                    Ok(report) => answer(&report),
                    Err(error) => {
                        tracing::error!(%error, "no evidence for a Keep");
                        AnswerHeader::refusal().to_vec()
                    }
                }
            }
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
        let stream = [
            &describe.encode()[..],
            &evidence.encode(),
            &[7; REPORT_DATA_SIZE],
            &describe.encode(),
        ]
        .concat();
        for most in [1, 3, 8, 9, 100] {
            let found = feed(&mut Requests::new(), &stream, most);
            assert!(
                matches!(
                    found[..],
                    [Request::Describe, Request::Evidence(data), Request::Describe]
                        if data == [7; REPORT_DATA_SIZE]
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
