//! Frames from the Keep to its owner: {number: u64 big-endian, ciphertext}.

use serde::{Deserialize, Serialize};

use super::{
    MAX_FRAME_PAYLOAD, SessionError, SessionSecret,
    cipher::{FrameCipher, TAG_SIZE, number},
};

/// Bytes of a frame beside its payload: number, kind and tag.
pub const OUTPUT_OVERHEAD: usize = 8 + 1 + TAG_SIZE;

/// What a Keep says to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes of the program's standard output.
    Stdout(Vec<u8>),
    /// Bytes of the program's standard error.
    Stderr(Vec<u8>),
    /// The runtime's own words to the owner, UTF-8.
    Log(String),
    /// The X.509 certificate that the Keep has issued to itself for TLS, in DER.
    Certificate(Vec<u8>),
    /// The program has ended; nothing follows.
    End(Ending),
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// What ended it.
    pub cause: Cause,
    /// The exit status that the owner's command ends with.
    pub status: u8,
    /// What happened, for people; with the WebAssembly backtrace after a trap.
    pub message: String,
}

/// What ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It exited by itself, with its own status.
    Exited,
    /// It trapped: WebAssembly stopped it.
    Trapped,
    /// It went over a limit of its manifest.
    Limit,
    /// It could not be started.
    Refused,
    /// Its owner stopped it.
    Stopped,
    /// The host or the Keep failed it.
    Failed,
}

impl Cause {
    /// The status with which the owner's command ends, where the program did not
    /// choose one.
    #[must_use]
    pub const fn default_status(self) -> u8 {
        match self {
            Self::Exited => 0,
            Self::Refused => 126,
            Self::Limit => 124,
            Self::Trapped => 134,
            Self::Stopped => 143,
            Self::Failed => 125,
        }
    }
}

/// The Keep's end of the output stream.
pub struct OutputWriter {
    cipher: FrameCipher,
    next: u64,
    ended: bool,
}

impl OutputWriter {
    /// The output stream of a session that has just begun.
    #[must_use]
    pub fn new(secret: &SessionSecret) -> Self {
        Self {
            cipher: secret.cipher(LABEL, b""),
            next: 0,
            ended: false,
        }
    }

    /// Encrypts the next frame.
    ///
    /// # Errors
    ///
    /// [`SessionError::TooLong`] for a payload over [`MAX_FRAME_PAYLOAD`],
    /// [`SessionError::AfterEnd`], or [`SessionError::Exhausted`].
    pub fn frame(&mut self, output: &Output) -> Result<Vec<u8>, SessionError> {
        if self.ended {
            return Err(SessionError::AfterEnd);
        }
        let encoded;
        let (kind, payload) = match output {
            Output::Stdout(bytes) => (STDOUT, bytes.as_slice()),
            Output::Stderr(bytes) => (STDERR, bytes.as_slice()),
            Output::Log(text) => (LOG, text.as_bytes()),
            Output::Certificate(der) => (CERTIFICATE, der.as_slice()),
            Output::End(ending) => {
                encoded = pad(enarx_wire_cbor::to_vec(ending)
                    .map_err(|error| SessionError::Ending(error.to_string()))?)?;
                (END, encoded.as_slice())
            }
        };
        if payload.len() > MAX_FRAME_PAYLOAD {
            return Err(SessionError::TooLong(payload.len()));
        }
        let frame = self
            .cipher
            .seal(self.next, &self.next.to_be_bytes(), kind, payload)?;
        self.next = self.next.checked_add(1).ok_or(SessionError::Exhausted)?;
        self.ended = kind == END;
        Ok(frame)
    }
}

/// The owner's end of the output stream.
pub struct OutputReader {
    cipher: FrameCipher,
    next: u64,
    ended: bool,
}

impl OutputReader {
    /// Reads the output from frame `next` on; 0 for all of it.
    #[must_use]
    pub fn new(secret: &SessionSecret, next: u64) -> Self {
        Self {
            cipher: secret.cipher(LABEL, b""),
            next,
            ended: false,
        }
    }

    /// The number of the frame that is due.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Accepts that the frames before `next` are lost, for a host that no longer
    /// holds them. Frames are never skipped without this.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Opens the frame that is due.
    ///
    /// # Errors
    ///
    /// [`SessionError`] for a frame that was altered, repeated, reordered, comes
    /// after the end, or leaves others out. After an error nothing has moved.
    pub fn open(&mut self, frame: &[u8]) -> Result<Output, SessionError> {
        if self.ended {
            return Err(SessionError::AfterEnd);
        }
        if frame.len() < OUTPUT_OVERHEAD || frame.len() > MAX_FRAME_PAYLOAD + OUTPUT_OVERHEAD {
            return Err(SessionError::Size(frame.len()));
        }
        let (header, ciphertext) = frame.split_at(8);
        let actual = number(header).ok_or(SessionError::Size(frame.len()))?;
        let (kind, payload) = self.cipher.open(actual, header, ciphertext)?;
        check_order(self.next, actual)?;
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        let output = match kind {
            STDOUT => Output::Stdout(payload),
            STDERR => Output::Stderr(payload),
            LOG => Output::Log(text(payload)),
            CERTIFICATE => Output::Certificate(payload),
            END => Output::End(
                enarx_wire_cbor::from_slice(unpad(&payload)?, END_PAYLOAD)
                    .map_err(|error| SessionError::Ending(error.to_string()))?,
            ),
            other => return Err(SessionError::UnknownKind(other)),
        };
        self.next = actual.checked_add(1).ok_or(SessionError::Exhausted)?;
        self.ended = kind == END;
        Ok(output)
    }

    /// Checks, when the host has no more frames, that the end was seen.
    ///
    /// # Errors
    ///
    /// [`SessionError::Cut`] when it was not.
    pub const fn finish(&self) -> Result<(), SessionError> {
        if self.ended {
            Ok(())
        } else {
            Err(SessionError::Cut(self.next))
        }
    }
}

/// Compares the number of an authentic frame with the one that is due.
pub(super) const fn check_order(expected: u64, actual: u64) -> Result<(), SessionError> {
    if actual < expected {
        Err(SessionError::Repeated { expected, actual })
    } else if actual > expected {
        Err(SessionError::Missing { expected, actual })
    } else {
        Ok(())
    }
}

/// Bytes of payload in every end frame, so that its size tells nothing of how the
/// program ended: the length of the encoded ending (u32, little-endian), the encoded
/// ending, and zeros.
const END_PAYLOAD: usize = 8 << 10;

/// Bytes that the message of an [`Ending`] may have, so that it fits an end frame.
pub const MAX_ENDING_MESSAGE: usize = END_PAYLOAD - 128;

fn pad(encoded: Vec<u8>) -> Result<Vec<u8>, SessionError> {
    let mut payload = vec![0; END_PAYLOAD];
    let (length, rest) = payload.split_at_mut(4);
    match (u32::try_from(encoded.len()), rest.get_mut(..encoded.len())) {
        (Ok(size), Some(place)) => {
            length.copy_from_slice(&size.to_le_bytes());
            place.copy_from_slice(&encoded);
            Ok(payload)
        }
        _ => Err(SessionError::TooLong(encoded.len())),
    }
}

fn unpad(payload: &[u8]) -> Result<&[u8], SessionError> {
    let malformed = || SessionError::Ending("its frame is not padded as it must be".into());
    let (length, rest) = payload.split_first_chunk::<4>().ok_or_else(malformed)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (encoded, padding) = rest.split_at_checked(length).ok_or_else(malformed)?;
    if payload.len() == END_PAYLOAD && padding.iter().all(|byte| *byte == 0) {
        Ok(encoded)
    } else {
        Err(malformed())
    }
}

const LABEL: &str = "enarx output v1";
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const LOG: u8 = 3;
const END: u8 = 4;
const CERTIFICATE: u8 = 5;
