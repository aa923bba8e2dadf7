//! What a Keep says of itself, and how evidence is bound to it.

use enarx_wire_cbor::EncodeError;
use enarx_wire_target::CompileTarget;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

use crate::{Digest, Suite};

/// The owner's random challenge, 32 bytes.
pub type Nonce = [u8; 32];

/// Bytes of report data in evidence.
pub const REPORT_DATA_SIZE: usize = 64;

/// What a Keep says of itself. Worth nothing without evidence whose report data is
/// [`report_data`] of these very bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Protocol version, [`crate::VERSION`].
    pub version: u32,
    /// The kind of Keep, as `wire/launch` names it.
    pub platform: String,
    /// The format of the evidence, as `wire/launch` names it.
    pub evidence: String,
    /// SHA-384 of the runtime.
    #[serde(with = "serde_bytes")]
    pub runtime: Digest,
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// For what the runtime loads compiled code.
    pub target: CompileTarget,
    /// The owner's challenge.
    #[serde(with = "serde_bytes")]
    pub nonce: Nonce,
    /// One single-use public key for each suite that the Keep offers, in the Keep's
    /// order of preference.
    pub keys: Vec<KemKey>,
}

/// A single-use public key of a Keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KemKey {
    /// The suite that the key is for.
    pub suite: Suite,
    /// The public key in the suite's own encoding.
    #[serde(with = "serde_bytes")]
    pub public: Vec<u8>,
}

/// What a Keep sends: claims, and the evidence over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Encoded [`Claims`]; kept as bytes, since the evidence covers the bytes.
    #[serde(with = "serde_bytes")]
    pub claims: Vec<u8>,
    /// Evidence in the format that the claims name.
    #[serde(with = "serde_bytes")]
    pub evidence: Vec<u8>,
}

/// The report data that binds evidence to encoded claims: SHA-512 over a label and
/// the claims.
#[must_use]
pub fn report_data(claims: &[u8]) -> [u8; REPORT_DATA_SIZE] {
    Sha512::new()
        .chain_update(b"enarx claims v1\0")
        .chain_update(claims)
        .finalize()
        .into()
}

/// What a running workload's evidence carries: it binds the application that the Keep runs
/// ([`Grant::application_identity`](crate::Grant::application_identity)) and a nonce of
/// whoever asked. Nothing that a workload chooses makes it the report data of claims
/// ([`report_data`]).
#[must_use]
pub fn workload_report_data(application: &Digest, nonce: &[u8]) -> [u8; REPORT_DATA_SIZE] {
    Sha512::new()
        .chain_update(b"enarx workload v1\0")
        .chain_update(application)
        .chain_update(nonce)
        .finalize()
        .into()
}

/// The hash of everything said before the grant. It is the `info` of HPKE, so that
/// a grant opens only where both sides saw the same conversation.
pub(crate) fn transcript(
    nonce: &Nonce,
    offer: &Offer,
    suite: Suite,
) -> Result<Digest, EncodeError> {
    #[derive(Serialize)]
    struct Transcript<'a> {
        label: &'static str,
        #[serde(with = "serde_bytes")]
        nonce: &'a [u8],
        #[serde(with = "serde_bytes")]
        claims: &'a [u8],
        #[serde(with = "serde_bytes")]
        evidence: &'a [u8],
        suite: Suite,
    }
    let encoded = enarx_wire_cbor::to_vec(&Transcript {
        label: "enarx provision v1",
        nonce,
        claims: &offer.claims,
        evidence: &offer.evidence,
        suite,
    })?;
    Ok(sha2::Sha384::digest(encoded).into())
}

/// The digest that names a compile target in a package's manifest: SHA-384 over a
/// label and the deterministic encoding of the target.
///
/// # Errors
///
/// When the target cannot be encoded, which every [`CompileTarget`] can.
pub fn target_digest(target: &CompileTarget) -> Result<Digest, EncodeError> {
    Ok(sha2::Sha384::new()
        .chain_update(b"enarx target v1\0")
        .chain_update(enarx_wire_cbor::to_vec(target)?)
        .finalize()
        .into())
}
