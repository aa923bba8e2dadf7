//! What the launcher and the process of an enclave say to each other, before the Keep runs.
//!
//! Both are the same program; descriptor 4 is a stream between them. The launcher sends a
//! [`Configuration`] and closes its direction, the process answers with one [`Report`] and closes
//! the other. Each is JSON.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use enarx_wire_launch::sgx::EnclaveOptions;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What an enclave is to be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Configuration {
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// Threads of the Keep.
    pub threads: u32,
    /// Whether a debugger may look into the enclave.
    pub debug: bool,
    /// CONFIGID in hexadecimal digits.
    pub config_id: String,
    /// SIGSTRUCT in hexadecimal digits.
    pub sigstruct: String,
    /// Directory of the simulated machine's state, unless the processor makes the enclave.
    pub simulator: Option<PathBuf>,
    /// Whether the process is in namespaces, in which it empties its file system.
    pub namespaces: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The enclave is made and is being entered.
    Running,
    /// The enclave was not made.
    Failed(String),
    /// The process could not be confined.
    NotConfined {
        /// Code of the step that failed.
        step: u8,
        /// Error number.
        error: i32,
    },
}

impl Configuration {
    pub(super) fn options(&self) -> EnclaveOptions {
        EnclaveOptions {
            memory_bytes: self.memory_bytes,
            threads: self.threads,
            debug: self.debug,
        }
    }
}

/// Most bytes of a message: several times what there is to say.
const MAX_MESSAGE: u64 = 64 << 10;

/// Sends the one message of this direction.
pub(super) fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    stream.write_all(&bytes)?;
    stream.shutdown(Shutdown::Write)
}

/// Receives the one message of the other direction; `None` if it was closed without one.
pub(super) fn receive<T: DeserializeOwned>(stream: &UnixStream) -> io::Result<Option<T>> {
    let mut bytes = Vec::new();
    stream.take(MAX_MESSAGE).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_stream_and_silence_is_told_apart() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let configuration = Configuration {
            memory_bytes: u64::MAX,
            threads: 3,
            debug: true,
            config_id: hex::encode([7; 64]),
            sigstruct: hex::encode([8; 1808]),
            simulator: Some("/somewhere".into()),
            namespaces: true,
        };
        send(&ours, &configuration).unwrap();
        assert_eq!(receive(&theirs).unwrap(), Some(configuration));
        let report = Report::NotConfined { step: 3, error: 1 };
        send(&theirs, &report).unwrap();
        assert_eq!(receive(&ours).unwrap(), Some(report));

        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(receive::<Report>(&ours).unwrap(), None);

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"gibberish").unwrap();
        drop(theirs);
        assert!(receive::<Report>(&ours).is_err());
    }
}
