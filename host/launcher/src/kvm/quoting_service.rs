//! Intel's quote generation service for trust domains (QGS): the messages of `qgs_msg_lib.h` in Intel's SGX DCAP sources, each
//! behind its length.
//!
//! **It has never run with the service itself**, only with a stand-in.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::quote_buffer::REPORT_SIZE;

/// Where the service listens.
pub(super) const SOCKET: &str = "/var/run/tdx-qgs/qgs.socket";

/// A connection to the service.
pub(super) struct QuotingService(Mutex<UnixStream>);

impl QuotingService {
    /// Connects, while this process still can.
    ///
    /// # Errors
    ///
    /// When the service is not there.
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(Mutex::new(stream)))
    }

    /// A quote of `report`.
    ///
    /// # Errors
    ///
    /// When the service gives none, or says what it must not.
    pub(super) fn quote(&self, report: &[u8; REPORT_SIZE]) -> io::Result<Vec<u8>> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&request(report))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(HEADER + 8..=LARGEST).contains(&length) {
            return Err(invalid("an answer of an impossible length"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        quote_in(&answer)
    }
}

/// A request, with its length in front.
fn request(report: &[u8; REPORT_SIZE]) -> Vec<u8> {
    let size = (HEADER + 8 + REPORT_SIZE) as u32;
    [
        &size.to_be_bytes()[..],
        // Version 1.0, which every service understands.
        &1_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        &REQUEST.to_le_bytes(),
        &size.to_le_bytes(),
        &0_u32.to_le_bytes(),
        // Then the report, and no list of attestation keys.
        &(REPORT_SIZE as u32).to_le_bytes(),
        &0_u32.to_le_bytes(),
        report,
    ]
    .concat()
}

/// The quote in an answer: behind the header, the sizes of a key's name and of the quote, then both.
fn quote_in(answer: &[u8]) -> io::Result<Vec<u8>> {
    let word = |at: usize| {
        let bytes = answer
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let major = word(0) & 0xFFFF;
    if (major, word(4), word(8) as usize) != (1, ANSWER, answer.len()) {
        return Err(invalid("an answer to something else"));
    }
    if word(12) != 0 {
        return Err(io::Error::other(format!(
            "it refused with status {:#x}",
            word(12)
        )));
    }
    let (name, quote) = (word(16) as usize, word(20) as usize);
    let start = HEADER.saturating_add(8).saturating_add(name);
    let found = answer.get(start..).filter(|rest| rest.len() == quote);
    let found = found.filter(|quote| !quote.is_empty());
    found
        .map(<[u8]>::to_vec)
        .ok_or_else(|| invalid("an answer whose sizes do not fit"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A quote takes milliseconds; a service that hangs must not hang the Keep for long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a message's header.
const HEADER: usize = 16;

/// No answer is larger, in bytes.
const LARGEST: usize = 64 << 10;

/// Kinds of message.
const REQUEST: u32 = 0;
const ANSWER: u32 = 1;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn answer(kind: u32, status: u32, sizes: [u32; 2], rest: &[u8]) -> Vec<u8> {
        let size = (HEADER + 8 + rest.len()) as u32;
        [
            &1_u16.to_le_bytes()[..],
            &1_u16.to_le_bytes(),
            &kind.to_le_bytes(),
            &size.to_le_bytes(),
            &status.to_le_bytes(),
            &sizes[0].to_le_bytes(),
            &sizes[1].to_le_bytes(),
            rest,
        ]
        .concat()
    }

    #[test]
    fn a_report_goes_there_and_a_quote_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qgs");
        let listener = UnixListener::bind(&socket).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4 + HEADER + 8 + REPORT_SIZE];
            stream.read_exact(&mut asked).unwrap();
            assert_eq!(asked[..4], 1048_u32.to_be_bytes());
            assert_eq!(
                asked[4..28],
                [
                    1, 0, 0, 0, 0, 0, 0, 0, 24, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0
                ]
            );
            assert_eq!(asked[28..], [7; REPORT_SIZE]);
            let answer = answer(ANSWER, 0, [16, 5], &[&[9; 16][..], b"quote"].concat());
            stream
                .write_all(&(answer.len() as u32).to_be_bytes())
                .unwrap();
            stream.write_all(&answer).unwrap();
        });
        let service = QuotingService::connect(&socket).unwrap();
        assert_eq!(service.quote(&[7; REPORT_SIZE]).unwrap(), b"quote");
        served.join().unwrap();
        assert!(service.quote(&[7; REPORT_SIZE]).is_err(), "it is gone");
        assert!(QuotingService::connect(&directory.path().join("nothing")).is_err());
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        assert_eq!(quote_in(&answer(ANSWER, 0, [0, 1], b"q")).unwrap(), b"q");
        let mut short = answer(ANSWER, 0, [0, 1], b"q");
        short.pop();
        for wrong in [
            answer(REQUEST, 0, [0, 1], b"q"),
            answer(ANSWER, 0x12001, [0, 1], b"q"),
            answer(ANSWER, 0, [0, 2], b"q"),
            answer(ANSWER, 0, [1, 1], b"q"),
            answer(ANSWER, 0, [0, 0], b""),
            answer(ANSWER, 0, [u32::MAX, u32::MAX], b"q"),
            short,
            Vec::new(),
        ] {
            assert!(quote_in(&wrong).is_err(), "{wrong:?}");
        }
    }
}
