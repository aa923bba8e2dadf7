//! Envelopes: how messages are framed on the channel between Keep and host.
//!
//! An envelope is a [`Header`] of five bytes and a payload. The host sees every
//! envelope; whatever must stay secret or unaltered is protected *inside* the
//! payload (`wire/provision`, `wire/package`).
//!
//! ```text
//! host -> Keep   Challenge  Provision  PackageData*  PackageEnd  Input*  Addresses*
//! Keep -> host   Offer      Ready      Output*       Failure     Lookup*
//! ```

use crate::u32_at;

/// The largest payload of one envelope, in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// The bytes before each payload: kind (1 byte), payload length (4 bytes,
/// little-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// Bytes of payload that follow, at most [`MAX_PAYLOAD`].
    pub length: u32,
}

impl Header {
    /// Size of an encoded header in bytes.
    pub const SIZE: usize = 5;

    /// The header for a payload of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::TooLong`] when the payload does not fit one envelope.
    pub fn new(kind: Kind, length: usize) -> Result<Self, EnvelopeError> {
        match u32::try_from(length) {
            Ok(length) if length as usize <= MAX_PAYLOAD => Ok(Self { kind, length }),
            _ => Err(EnvelopeError::TooLong(length as u64)),
        }
    }

    /// Encodes the header.
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        let [a, b, c, d] = self.length.to_le_bytes();
        [self.kind as u8, a, b, c, d]
    }

    /// Decodes a header, and checks its kind and its length.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`] names the kind or the length that is not allowed.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, EnvelopeError> {
        let kind = Kind::from_code(bytes[0]).ok_or(EnvelopeError::UnknownKind(bytes[0]))?;
        Self::new(kind, u32_at(&bytes, 1) as usize)
    }
}

/// What an envelope carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Host to Keep: the owner's nonce, 32 bytes. The first envelope.
    Challenge = 1,
    /// Host to Keep: the owner's sealed grant (`wire/provision`).
    Provision = 2,
    /// Host to Keep: the next bytes of the package (`wire/package`).
    PackageData = 3,
    /// Host to Keep: the host has no more package bytes. Empty.
    PackageEnd = 4,
    /// Host to Keep: one session frame from the owner.
    Input = 5,
    /// Host to Keep: the answer to a lookup ([`crate::lookup`]).
    Addresses = 6,
    /// Keep to host: claims and evidence (`wire/provision`).
    Offer = 129,
    /// Keep to host: the grant was opened, the package may come. Empty.
    Ready = 130,
    /// Keep to host: one session frame for the owner.
    Output = 131,
    /// Keep to host: the Keep ends itself; one byte, a [`FailureCode`].
    Failure = 132,
    /// Keep to host: a name whose addresses are wanted ([`crate::lookup`]).
    Lookup = 133,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Challenge,
        Self::Provision,
        Self::PackageData,
        Self::PackageEnd,
        Self::Input,
        Self::Addresses,
        Self::Offer,
        Self::Ready,
        Self::Output,
        Self::Failure,
        Self::Lookup,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// Why a Keep ended itself before it could tell its owner.
///
/// The host reads it, so it says what the host could know anyway: at which of
/// its own messages the Keep stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum FailureCode {
    /// An envelope was malformed, too long, or not due.
    #[error("the host broke the channel protocol")]
    Protocol = 1,
    /// The grant could not be opened by this Keep.
    #[error("the grant is not for this Keep or was altered")]
    Grant = 2,
    /// The package was cut, altered, or made for another grant.
    #[error("the package is not the granted one or was altered")]
    Package = 3,
    /// The CPU gave no entropy, or the TEE no evidence.
    #[error("the platform gave no entropy or no evidence")]
    Platform = 4,
    /// The runtime itself failed.
    #[error("the runtime failed")]
    Internal = 5,
}

impl FailureCode {
    /// The failure with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Protocol,
            Self::Grant,
            Self::Package,
            Self::Platform,
            Self::Internal,
        ]
        .into_iter()
        .find(|failure| *failure as u8 == code)
    }
}

/// What is wrong with an envelope's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// No envelope has this kind.
    #[error("unknown envelope kind {0}")]
    UnknownKind(u8),
    /// The payload is longer than [`MAX_PAYLOAD`].
    #[error("an envelope of {0} bytes is over the limit of {MAX_PAYLOAD}")]
    TooLong(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_wire() {
        for kind in Kind::ALL {
            let header = Header::new(kind, 77).unwrap();
            assert_eq!(Header::decode(header.encode()), Ok(header));
        }
    }

    #[test]
    fn unknown_kinds_and_long_payloads_are_refused() {
        for code in 0..=255u8 {
            let decoded = Header::decode([code, 0, 0, 0, 0]);
            let known = Kind::ALL.iter().any(|kind| *kind as u8 == code);
            assert_eq!(decoded.is_ok(), known, "{code}");
        }
        let [a, b, c, d] = (MAX_PAYLOAD as u32 + 1).to_le_bytes();
        assert_eq!(
            Header::decode([1, a, b, c, d]),
            Err(EnvelopeError::TooLong(MAX_PAYLOAD as u64 + 1))
        );
        assert!(Header::new(Kind::Output, usize::MAX).is_err());
    }
}
