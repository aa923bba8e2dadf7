//! The attestation device: how the runtime asks its TEE for evidence.
//!
//! A request is {operation: u32, length: u32, payload}, an answer is
//! {status: u32, length: u32, payload}, all little-endian, strictly one answer to
//! each request.
//!
//! | operation | payload | answer |
//! |---|---|---|
//! | [`Operation::Describe`] | none | the measured launch page (`wire/launch`) |
//! | [`Operation::Evidence`] | report data, 64 bytes | evidence in the platform's own format |
//! | [`Operation::SealingKey`] | the key's name, 32 bytes; version, 16 bytes | the key, 16 bytes; version, 16 bytes |
//! | [`Operation::Extend`] | a SHA-384 digest, 48 bytes | nothing |

use crate::u32_at;

/// The largest answer in bytes: a quote with its certificates fits.
pub const MAX_ANSWER: usize = 64 << 10;

/// Size in bytes of the report data that evidence binds, on every platform.
pub const REPORT_DATA_SIZE: usize = 64;

/// Size in bytes of a digest that is kept for later evidence.
pub const DIGEST_SIZE: usize = 48;

/// What the runtime asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// The launch page that was measured into this Keep.
    Describe = 1,
    /// Evidence over 64 bytes of report data.
    Evidence = 2,
    /// A key that Keeps of this measurement on this machine get, and nobody else: again after they
    /// were started again, and another for each name. It depends on the TEE's version. Zeros ask
    /// for the current one; asked for with the version that came with it, it is the same
    /// after an update of the TEE.
    ///
    /// Refused by whatever has no such keys.
    SealingKey = 3,
    /// Tells evidence from now on of a digest, on platforms that have a register for it (TDX's
    /// RTMR3); on others it does nothing.
    Extend = 4,
}

/// Size in bytes of what a sealing key is asked for with: its name, and a version.
pub const SEALING_REQUEST_SIZE: usize = 48;

/// Size in bytes of the answer: the key, and its version.
pub const SEALING_ANSWER_SIZE: usize = 32;

impl Operation {
    /// Bytes of payload that this operation's request carries.
    #[must_use]
    pub const fn payload_size(self) -> usize {
        match self {
            Self::Describe => 0,
            Self::Evidence => REPORT_DATA_SIZE,
            Self::SealingKey => SEALING_REQUEST_SIZE,
            Self::Extend => DIGEST_SIZE,
        }
    }
}

/// The eight bytes before a request's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// What is asked; its payload size is fixed.
    pub operation: Operation,
}

impl RequestHeader {
    /// Size of an encoded header in bytes.
    pub const SIZE: usize = 8;

    /// Encodes the header.
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        pair(
            self.operation as u32,
            u32::try_from(self.operation.payload_size()).unwrap_or(u32::MAX),
        )
    }

    /// Decodes a request's header.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] for an operation that does not exist or a payload that is
    /// not of its size.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, DeviceError> {
        let operation = match u32_at(&bytes, 0) {
            1 => Operation::Describe,
            2 => Operation::Evidence,
            3 => Operation::SealingKey,
            4 => Operation::Extend,
            other => return Err(DeviceError::UnknownOperation(other)),
        };
        let length = u32_at(&bytes, 4);
        if length as usize != operation.payload_size() {
            return Err(DeviceError::WrongLength(length));
        }
        Ok(Self { operation })
    }
}

/// The eight bytes before an answer's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHeader {
    /// Bytes of payload that follow, at most [`MAX_ANSWER`].
    pub length: u32,
}

impl AnswerHeader {
    /// Size of an encoded header in bytes.
    pub const SIZE: usize = 8;

    /// The header of a successful answer of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`DeviceError::WrongLength`] when the answer is over [`MAX_ANSWER`].
    pub fn new(length: usize) -> Result<Self, DeviceError> {
        match u32::try_from(length) {
            Ok(length) if length as usize <= MAX_ANSWER => Ok(Self { length }),
            Ok(length) => Err(DeviceError::WrongLength(length)),
            Err(_) => Err(DeviceError::WrongLength(u32::MAX)),
        }
    }

    /// Encodes the header of a successful answer.
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        pair(0, self.length)
    }

    /// The bytes of an answer that says that the device failed.
    #[must_use]
    pub fn refusal() -> [u8; Self::SIZE] {
        pair(1, 0)
    }

    /// Decodes an answer's header.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Refused`] when the device failed, or
    /// [`DeviceError::WrongLength`] when the answer would be too long.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, DeviceError> {
        match u32_at(&bytes, 0) {
            0 => Self::new(u32_at(&bytes, 4) as usize),
            status => Err(DeviceError::Refused(status)),
        }
    }
}

/// What went wrong between the runtime and the attestation device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The request names an operation that does not exist.
    #[error("unknown attestation operation {0}")]
    UnknownOperation(u32),
    /// A payload is not of the size that is due.
    #[error("an attestation payload of {0} bytes is not allowed here")]
    WrongLength(u32),
    /// The device answered with this status instead of a payload.
    #[error("the attestation device refused with status {0}")]
    Refused(u32),
}

fn pair(first: u32, second: u32) -> [u8; 8] {
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f, g, h] = second.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_fixed_sizes() {
        for operation in [
            Operation::Describe,
            Operation::Evidence,
            Operation::SealingKey,
            Operation::Extend,
        ] {
            let header = RequestHeader { operation };
            assert_eq!(RequestHeader::decode(header.encode()), Ok(header));
        }
        assert_eq!(
            RequestHeader::decode(pair(2, 63)),
            Err(DeviceError::WrongLength(63))
        );
        assert_eq!(
            RequestHeader::decode(pair(5, 0)),
            Err(DeviceError::UnknownOperation(5))
        );
    }

    #[test]
    fn answers_are_bounded() {
        assert_eq!(
            AnswerHeader::decode(pair(0, 65537)),
            Err(DeviceError::WrongLength(65537))
        );
        assert_eq!(
            AnswerHeader::decode(AnswerHeader::refusal()),
            Err(DeviceError::Refused(1))
        );
        let header = AnswerHeader::new(1184).unwrap();
        assert_eq!(AnswerHeader::decode(header.encode()), Ok(header));
    }
}
