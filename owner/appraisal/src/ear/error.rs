//! What can be wrong with an attestation result.

use enarx_owner_evidence::UnixTime;

use super::{MAX_BYTES, MAX_SUBMODULES, PROFILE, Tier};
use crate::{CborError, CoseError};

/// Why an attestation result was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is too long.
    #[error("the attestation result has {0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// It is not three parts in base64url with a JSON header.
    #[error("the token is not a JWS in compact form")]
    Jws,
    /// The header names no algorithm, `none`, or another than the key's.
    #[error("the token names the algorithm {found:?}, but the key is for {expected}")]
    Algorithm {
        /// What the key is for.
        expected: &'static str,
        /// What the token says.
        found: String,
    },
    /// The header says that something unknown must be understood.
    #[error("the token has critical header parameters")]
    Critical,
    /// The key did not sign it.
    #[error("the token was not signed by the verifier's key")]
    Signature,
    /// The envelope of a CBOR Web Token is not acceptable.
    #[error("the token: {0}")]
    Cose(#[from] CoseError),
    /// The claims are not CBOR.
    #[error("the token: {0}")]
    Cbor(#[from] CborError),
    /// The claims cannot be read from JSON.
    #[error("the claims in JSON: {0}")]
    Json(String),
    /// A claim is missing or has the wrong type.
    #[error("the claim {0} is missing or has the wrong type")]
    Claim(&'static str),
    /// It has another profile.
    #[error("the profile is {0:?}, not {PROFILE:?}")]
    Profile(String),
    /// A status is better than the vector behind it, or the whole better than a part.
    #[error("the status {} is better than what it stands on", .0.as_str())]
    Status(Tier),
    /// It is about no attester, or about too many.
    #[error("the result is about {0} attesters, not 1 to {MAX_SUBMODULES}")]
    Submodules(usize),
    /// The nonce is too short or too long.
    #[error("the nonce has {0} bytes, not 8 to 64")]
    Nonce(usize),
    /// It is too old.
    #[error("the attestation result expired at {0}")]
    Expired(UnixTime),
    /// Signing failed.
    #[error("the attestation result could not be signed")]
    Signing,
}
