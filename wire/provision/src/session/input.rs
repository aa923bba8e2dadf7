//! Frames from the owner to the Keep: {epoch: u64, attachment: 16 bytes, number: u64,
//! ciphertext}, integers big-endian.

use super::{
    MAX_FRAME_PAYLOAD, SessionError, SessionSecret,
    cipher::{FrameCipher, TAG_SIZE, number},
    output::check_order,
};

/// Bytes of a frame beside its payload: header, kind and tag.
pub const INPUT_OVERHEAD: usize = HEADER_SIZE + 1 + TAG_SIZE;

/// Random bytes that make an attachment's key its own.
pub type AttachmentId = [u8; 16];

/// What an owner says to the Keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bytes for the program's standard input.
    Stdin(Vec<u8>),
    /// The standard input ends.
    StdinEnd,
    /// The program is to be stopped.
    Stop,
}

/// The owner's end of one attachment.
pub struct InputWriter {
    cipher: FrameCipher,
    epoch: u64,
    id: AttachmentId,
    next: u64,
}

impl InputWriter {
    /// Attaches to a session. `epoch` must be greater than every earlier
    /// attachment's, `id` fresh and random.
    #[must_use]
    pub fn new(secret: &SessionSecret, epoch: u64, id: AttachmentId) -> Self {
        Self {
            cipher: cipher(secret, epoch, &id),
            epoch,
            id,
            next: 0,
        }
    }

    /// Encrypts the next frame.
    ///
    /// # Errors
    ///
    /// [`SessionError::TooLong`] for a payload over [`MAX_FRAME_PAYLOAD`], or
    /// [`SessionError::Exhausted`].
    pub fn frame(&mut self, input: &Input) -> Result<Vec<u8>, SessionError> {
        let (kind, payload) = match input {
            Input::Stdin(bytes) => (STDIN, bytes.as_slice()),
            Input::StdinEnd => (STDIN_END, [].as_slice()),
            Input::Stop => (STOP, [].as_slice()),
        };
        if payload.len() > MAX_FRAME_PAYLOAD {
            return Err(SessionError::TooLong(payload.len()));
        }
        let mut header = [0; HEADER_SIZE];
        header[..8].copy_from_slice(&self.epoch.to_be_bytes());
        header[8..24].copy_from_slice(&self.id);
        header[24..].copy_from_slice(&self.next.to_be_bytes());
        let frame = self.cipher.seal(self.next, &header, kind, payload)?;
        self.next = self.next.checked_add(1).ok_or(SessionError::Exhausted)?;
        Ok(frame)
    }
}

/// The Keep's end of all attachments, one after the other.
pub struct InputReader {
    secret: SessionSecret,
    current: Option<Attachment>,
}

impl InputReader {
    /// The input of a session that has just begun.
    #[must_use]
    pub fn new(secret: &SessionSecret) -> Self {
        Self {
            secret: secret.clone(),
            current: None,
        }
    }

    /// Opens a frame: the next of the current attachment, or the first of a newer
    /// one, which then replaces the current.
    ///
    /// # Errors
    ///
    /// [`SessionError::Superseded`] for a frame of an earlier attachment, which a
    /// late owner may well send and which is to be ignored. Every other error is the
    /// host's doing. After an error nothing has moved.
    pub fn open(&mut self, frame: &[u8]) -> Result<Input, SessionError> {
        if frame.len() < INPUT_OVERHEAD || frame.len() > MAX_FRAME_PAYLOAD + INPUT_OVERHEAD {
            return Err(SessionError::Size(frame.len()));
        }
        let (header, ciphertext) = frame.split_at(HEADER_SIZE);
        let malformed = SessionError::Size(frame.len());
        let (Some(epoch), Some(id), Some(actual)) = (
            number(header),
            header[8..].first_chunk::<16>(),
            number(&header[24..]),
        ) else {
            return Err(malformed);
        };
        let mut newer = None;
        let attachment = match &mut self.current {
            Some(current) if epoch == current.epoch && *id == current.id => current,
            Some(current) if epoch <= current.epoch => return Err(SessionError::Superseded),
            _ => newer.insert(Attachment {
                cipher: cipher(&self.secret, epoch, id),
                epoch,
                id: *id,
                next: 0,
            }),
        };
        let (kind, payload) = attachment.cipher.open(actual, header, ciphertext)?;
        check_order(attachment.next, actual)?;
        let input = match (kind, payload.is_empty()) {
            (STDIN, _) => Input::Stdin(payload),
            (STDIN_END, true) => Input::StdinEnd,
            (STOP, true) => Input::Stop,
            (other, _) => return Err(SessionError::UnknownKind(other)),
        };
        attachment.next = actual.checked_add(1).ok_or(SessionError::Exhausted)?;
        if newer.is_some() {
            self.current = newer;
        }
        Ok(input)
    }
}

const HEADER_SIZE: usize = 8 + 16 + 8;
const STDIN: u8 = 1;
const STDIN_END: u8 = 2;
const STOP: u8 = 3;

/// An attachment as the Keep knows it.
struct Attachment {
    cipher: FrameCipher,
    epoch: u64,
    id: AttachmentId,
    next: u64,
}

fn cipher(secret: &SessionSecret, epoch: u64, id: &AttachmentId) -> FrameCipher {
    let mut context = [0; 24];
    context[..8].copy_from_slice(&epoch.to_be_bytes());
    context[8..].copy_from_slice(id);
    secret.cipher("enarx input v1", &context)
}
