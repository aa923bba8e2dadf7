//! What the launcher and the process of an enclave say to each other.
//!
//! Both are the same program; descriptor 4 is a stream between them. The launcher sends a
//! [`Configuration`], and the process answers with one [`Report`]. If it is the launcher that gets
//! the Keep's quotes, requests for them follow ([`super::remote_quoting`]). Each message is JSON
//! behind its length, 32 bits, little-endian.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use enarx_wire_launch::sgx::EnclaveOptions;
use enarx_wire_launch::{KeepMemory, MemoryStrategy};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What an enclave is to be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Configuration {
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// Whether compiled code checks every access to it.
    pub bounded_memory: bool,
    /// Threads of the Keep.
    pub threads: u32,
    /// Whether a debugger may look into the enclave.
    pub debug: bool,
    /// CONFIGID in hexadecimal digits.
    pub config_id: String,
    /// SIGSTRUCT in hexadecimal digits.
    pub sigstruct: String,
    /// The simulated machine, unless the processor makes the enclave.
    pub simulator: Option<SimulatedMachine>,
    /// Who makes quotes of its reports.
    pub quotes: Quotes,
    /// Whether the Keep may use the host's network.
    pub network: bool,
    /// Whether the process is in namespaces, in which it empties its file system.
    pub namespaces: bool,
}

/// A simulated machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SimulatedMachine {
    /// The directory of its state.
    pub directory: PathBuf,
    /// Whether enclaves are patched after they were measured.
    pub fast: bool,
}

/// Who makes quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Quotes {
    /// The simulated machine.
    Simulator,
    /// A service that the launcher asks.
    Launcher,
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
            memory: KeepMemory {
                bytes: self.memory_bytes,
                strategy: MemoryStrategy::bounded_if(self.bounded_memory),
            },
            threads: self.threads,
            debug: self.debug,
        }
    }
}

/// Most bytes of a message: the largest quote in hexadecimal digits fits.
const MAX_MESSAGE: usize = 256 << 10;

/// Sends a message.
pub(super) fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_le_bytes()[..], &bytes].concat())
}

/// Receives a message; `None` if the stream was closed before one.
pub(super) fn receive<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<Option<T>> {
    let mut length = Vec::new();
    stream.take(4).read_to_end(&mut length)?;
    if length.is_empty() {
        return Ok(None);
    }
    let length: [u8; 4] = length
        .try_into()
        .map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
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
            bounded_memory: true,
            threads: 3,
            debug: true,
            config_id: hex::encode([7; 64]),
            sigstruct: hex::encode([8; 1808]),
            simulator: Some(SimulatedMachine {
                directory: "/somewhere".into(),
                fast: true,
            }),
            quotes: Quotes::Launcher,
            network: true,
            namespaces: true,
        };
        send(&ours, &configuration).unwrap();
        assert_eq!(receive(&theirs).unwrap(), Some(configuration));
        let report = Report::NotConfined { step: 3, error: 1 };
        send(&theirs, &report).unwrap();
        send(&theirs, &Report::Running).unwrap();
        assert_eq!(receive(&ours).unwrap(), Some(report));
        assert_eq!(receive(&ours).unwrap(), Some(Report::Running));

        drop(theirs);
        assert_eq!(receive::<Report>(&ours).unwrap(), None);
    }

    #[test]
    fn gibberish_is_no_message() {
        for wrong in [
            &b"\x09\0\0\0gibberish"[..],
            b"\x09\0\0\0cut",
            b"\x09\0",
            b"\xFF\xFF\xFF\xFF",
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(wrong).unwrap();
            drop(theirs);
            assert!(receive::<Report>(&ours).is_err());
        }
    }
}
