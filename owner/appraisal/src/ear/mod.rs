//! Attestation results: what a verifier says about an attester, in the common form EAR
//! (draft-ietf-rats-ear-04), for relying parties that do not appraise evidence themselves.
//!
//! ```text
//!   Appraisal (trust vector, policies) --+
//!   VerifierId, time, nonce -------------+--> AttestationResult --+--> JSON, unsigned
//!                                                    ^            +--> JWT --+
//!                                                    |            +--> CWT --+-- SigningKey
//!                                                    +-- verification --------+-- VerifyingKey
//! ```
//!
//! The status of an appraisal is never better than its trust vector, neither here nor in
//! a result that is read.

mod cwt;
mod error;
mod json;
mod jwt;
mod trust;
mod verdict;

use std::collections::BTreeMap;

use enarx_owner_evidence::UnixTime;

pub use error::Error;
pub use trust::{Tier, TrustClaim, TrustVector};

use crate::signature::{SigningError, SigningKey, VerifyingKey};

/// The `eat_profile` of every result (draft-ietf-rats-ear-04 section 3).
pub const PROFILE: &str = "tag:ietf.org,2026:rats/ear#04";

/// Bytes of an encoded result at most: raw evidence and its encoding included.
pub const MAX_BYTES: usize = 256 * 1024;

/// Attesters in one result at most.
pub const MAX_SUBMODULES: usize = 64;

/// What a verifier says about one device, whose attesters are its submodules
/// (draft-ietf-rats-ear-04 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationResult {
    /// When the verifier issued it.
    pub issued_at: UnixTime,
    /// From when on it must not be accepted any more.
    pub expires_at: Option<UnixTime>,
    /// Who appraised.
    pub verifier: VerifierId,
    /// The relying party's challenge, 8 to 64 bytes.
    pub nonce: Option<Vec<u8>>,
    /// The evidence that was appraised, unabridged. It may identify a machine.
    pub raw_evidence: Option<Vec<u8>>,
    /// An appraisal for each attester, by its label; at least one.
    pub submodules: BTreeMap<String, Appraisal>,
}

/// The software that appraised (draft-ietf-rats-ar4si section 3.3).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VerifierId {
    /// Who made it.
    pub developer: String,
    /// Which build of it.
    pub build: String,
}

/// What is said about one attester (draft-ietf-rats-ear-04 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appraisal {
    status: Tier,
    trust_vector: Option<TrustVector>,
    policy_ids: Vec<String>,
}

impl Appraisal {
    /// An appraisal whose status is the worst tier in its vector.
    ///
    /// `policy_ids` name the policies, in the order in which they were applied.
    #[must_use]
    pub fn new(trust_vector: TrustVector, policy_ids: Vec<String>) -> Self {
        Self {
            status: trust_vector.tier(),
            trust_vector: Some(trust_vector),
            policy_ids,
        }
    }

    /// The overall status: the vector's worst tier, or worse.
    #[must_use]
    pub fn status(&self) -> Tier {
        self.status
    }

    /// The claims behind the status; another verifier may have left them out.
    #[must_use]
    pub fn trust_vector(&self) -> Option<&TrustVector> {
        self.trust_vector.as_ref()
    }

    /// The policies, in the order in which they were applied.
    #[must_use]
    pub fn policy_ids(&self) -> &[String] {
        &self.policy_ids
    }

    /// An appraisal of another verifier. Its status may be worse than its vector, but not
    /// better.
    fn received(
        status: Tier,
        trust_vector: Option<TrustVector>,
        policy_ids: Vec<String>,
    ) -> Result<Self, Error> {
        let justified = trust_vector.is_none_or(|vector| vector.tier().worse(status) == status);
        if !justified {
            return Err(Error::Status(status));
        }
        Ok(Self {
            status,
            trust_vector,
            policy_ids,
        })
    }
}

impl AttestationResult {
    /// The worst status of all attesters.
    #[must_use]
    pub fn status(&self) -> Tier {
        let appraisals = self.submodules.values();
        let statuses = appraisals.map(Appraisal::status);
        statuses.reduce(Tier::worse).unwrap_or(Tier::None)
    }

    /// The claims in JSON, unsigned: for programs beside the verifier, not for others.
    ///
    /// # Errors
    ///
    /// [`Error`] when a field is out of bounds.
    pub fn to_json(&self) -> Result<serde_json::Value, Error> {
        self.check()?;
        json::from_result(self)
    }

    /// The claims as a JSON Web Token (RFC 7519), signed as compact JWS (RFC 7515).
    ///
    /// # Errors
    ///
    /// [`Error`] when a field is out of bounds or signing fails.
    pub fn to_jwt(&self, key: &SigningKey) -> Result<String, Error> {
        jwt::sign(&self.to_json()?, key)
    }

    /// The claims as a CBOR Web Token (RFC 8392), signed as tagged `COSE_Sign1` (RFC 9052).
    ///
    /// # Errors
    ///
    /// [`Error`] when a field is out of bounds or signing fails.
    pub fn to_cwt(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        self.check()?;
        cwt::sign(self, key)
    }

    /// Verifies and reads a JSON Web Token. The key alone decides the algorithm.
    ///
    /// # Errors
    ///
    /// [`Error`] when `key` did not sign it, when it expired before `now`, or when it is
    /// not a well-formed result.
    pub fn from_jwt(token: &str, key: &VerifyingKey, now: UnixTime) -> Result<Self, Error> {
        within_limit(token.len())?;
        let payload = jwt::verify(token, key)?;
        json::to_result(&payload)?.received(now)
    }

    /// Verifies and reads a CBOR Web Token, with or without tag 61. The key alone decides
    /// the algorithm.
    ///
    /// # Errors
    ///
    /// [`Error`] when `key` did not sign it, when it expired before `now`, or when it is
    /// not a well-formed result.
    pub fn from_cwt(token: &[u8], key: &VerifyingKey, now: UnixTime) -> Result<Self, Error> {
        within_limit(token.len())?;
        cwt::verify(token, key)?.received(now)
    }

    fn received(self, now: UnixTime) -> Result<Self, Error> {
        self.check()?;
        match self.expires_at {
            Some(expiry) if expiry <= now => Err(Error::Expired(expiry)),
            _ => Ok(self),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=MAX_SUBMODULES).contains(&self.submodules.len()) {
            return Err(Error::Submodules(self.submodules.len()));
        }
        match self.nonce.as_ref().map(Vec::len) {
            Some(length) if !(8..=64).contains(&length) => Err(Error::Nonce(length)),
            _ => within_limit(self.raw_evidence.as_ref().map_or(0, Vec::len)),
        }
    }
}

fn within_limit(actual: usize) -> Result<(), Error> {
    if actual > MAX_BYTES {
        return Err(Error::TooLarge(actual));
    }
    Ok(())
}

impl From<SigningError> for Error {
    fn from(SigningError: SigningError) -> Self {
        Self::Signing
    }
}
