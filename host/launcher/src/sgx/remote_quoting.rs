//! Quotes for a Keep's process, which is confined and reaches no service: the launcher asks in
//! its place, over the stream on which it sent the configuration.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::configuration::{receive, send};
use super::services::Quoting;

/// What the Keep's process asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Request {
    /// TARGETINFO of the enclave that makes quotes.
    Target,
    /// A quote of this REPORT, in hexadecimal digits.
    Quote(String),
}

/// What it gets: bytes in hexadecimal digits, or why there are none.
type Answer = Result<String, String>;

/// The launcher, as the Keep's process sees it.
pub(super) struct RemoteQuoting(Mutex<UnixStream>);

impl RemoteQuoting {
    pub(super) fn new(launcher: UnixStream) -> Self {
        Self(Mutex::new(launcher))
    }

    fn ask(&self, request: &Request) -> io::Result<Vec<u8>> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        send(&stream, request)?;
        let answer: Answer = receive(&stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        hex::decode(answer.map_err(io::Error::other)?).map_err(io::Error::other)
    }
}

impl Quoting for RemoteQuoting {
    fn target(&self) -> io::Result<[u8; 512]> {
        let target = self.ask(&Request::Target)?;
        target
            .try_into()
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>> {
        self.ask(&Request::Quote(hex::encode(report)))
    }
}

/// Answers a Keep's process until it closes the stream, or says what nobody should.
pub(super) fn serve(stream: &UnixStream, quoting: &dyn Quoting) {
    while let Ok(Some(request)) = receive(stream) {
        let found = match request {
            Request::Target => quoting.target().map(|target| target.to_vec()),
            Request::Quote(report) => hex::decode(report)
                .map_err(io::Error::other)
                .and_then(|report| quoting.quote(&report)),
        };
        let answer: Answer = found.map(hex::encode).map_err(|error| error.to_string());
        if send(stream, &answer).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Twice;

    impl Quoting for Twice {
        fn target(&self) -> io::Result<[u8; 512]> {
            Ok([9; 512])
        }

        fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>> {
            if report.is_empty() {
                return Err(io::Error::other("no report"));
            }
            Ok(report.repeat(2))
        }
    }

    #[test]
    fn requests_go_there_and_answers_and_errors_come_back() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&theirs, &Twice));
            let remote = RemoteQuoting::new(ours);
            assert_eq!(remote.target().unwrap(), [9; 512]);
            assert_eq!(remote.quote(&[1, 2]).unwrap(), [1, 2, 1, 2]);
            let error = remote.quote(&[]).unwrap_err().to_string();
            assert_eq!(error, "no report");
            // A quote of the greatest size that a Keep takes.
            let large = vec![3; 32 << 10];
            assert_eq!(remote.quote(&large).unwrap().len(), 64 << 10);
        });
    }

    #[test]
    fn a_stream_that_is_closed_or_gibberish_ends_it() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &"gibberish").unwrap();
        serve(&theirs, &Twice);
        drop(theirs);
        assert!(RemoteQuoting::new(ours).target().is_err());
    }
}
