//! What can be wrong with a manifest of reference values.

use enarx_owner_evidence::UnixTime;

use super::{MAX_TAGS, MAX_VALUES};
use crate::{CborError, CoseError, SigningError};

/// Why a manifest was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not CBOR within the limits.
    #[error("the manifest: {0}")]
    Cbor(#[from] CborError),
    /// It is not tagged as what is expected.
    #[error("the manifest does not have the CBOR tag of {0}")]
    Tag(&'static str),
    /// Its signature is not acceptable.
    #[error("the manifest: {0}")]
    Cose(#[from] CoseError),
    /// The signed content is not a manifest, or the header does not name its signer.
    #[error("the manifest's protected header has no acceptable {0}")]
    Header(&'static str),
    /// Something mandatory is not there.
    #[error("the manifest lacks {0}")]
    Missing(&'static str),
    /// Something has the wrong type or an impossible value.
    #[error("the manifest's {0} does not have the type that it must have")]
    Type(&'static str),
    /// A digest does not have the length of its algorithm.
    #[error("a digest by {algorithm} has {length} bytes")]
    DigestLength {
        /// The algorithm.
        algorithm: &'static str,
        /// Bytes in the digest.
        length: usize,
    },
    /// More tags or values than anyone needs.
    #[error("the manifest has more than {MAX_TAGS} tags or {MAX_VALUES} reference values")]
    TooMany,
    /// It holds later.
    #[error("the manifest does not hold before {0}")]
    NotYetValid(UnixTime),
    /// It held earlier.
    #[error("the manifest does not hold after {0}")]
    Expired(UnixTime),
    /// Signing failed.
    #[error("the manifest: {0}")]
    Signing(#[from] SigningError),
}
