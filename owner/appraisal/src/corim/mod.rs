//! Reference values in the common form CoRIM (draft-ietf-rats-corim), from and for others.
//!
//! ```text
//!   COSE_Sign1 (18) --VerifyingKey--> 501: manifest { id, profile, validity, tags }
//!                                                |
//!                                   506: CoMID { reference triples }
//!                                                |
//!                      environment, measurements --> ReferenceValue
//! ```
//!
//! What is unknown and optional is ignored, with one exception: a measurement with a
//! condition that is not understood is skipped as a whole, because without the condition
//! it would accept more than its author meant. [`Manifest::skipped`] counts them.

mod error;
mod read;
mod value;
mod write;

use ciborium::Value;
use enarx_owner_evidence::UnixTime;

pub use error::Error;
pub use value::{
    Digest, DigestAlgorithm, Environment, Flags, Identifier, MeasurementKey, Profile, RawValue,
    ReferenceValue, SecurityVersion,
};

use crate::{
    cbor, cose,
    signature::{SigningKey, VerifyingKey},
};

/// Bytes of a manifest at most.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Tags in a manifest at most.
pub const MAX_TAGS: usize = 256;

/// Reference values in a manifest at most.
pub const MAX_VALUES: usize = 4096;

/// A manifest of reference values (draft-ietf-rats-corim, `corim-map`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its identity: a text, or a UUID that was read, in hexadecimal.
    pub id: String,
    /// The profile that it follows, if any.
    pub profile: Option<Profile>,
    /// First and last second when it holds.
    pub validity: Validity,
    /// The reference values of all its tags.
    pub values: Vec<ReferenceValue>,
    /// Measurements that were not read because they have conditions that are not
    /// understood here.
    pub skipped: usize,
}

/// When a manifest holds, both ends included (draft-ietf-rats-corim, `validity-map`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// First second, if there is one.
    pub not_before: Option<UnixTime>,
    /// Last second, if there is one.
    pub not_after: Option<UnixTime>,
}

/// CBOR tags of draft-ietf-rats-corim, section on IANA considerations.
const CORIM: u64 = 500;
const UNSIGNED: u64 = 501;
const SIGNED: u64 = 502;
const CONCISE_MODULE: u64 = 506;
/// The name of a Keep's launch measurement.
const LAUNCH_MEASUREMENT: &str = "launch-measurement";

/// The tag of a `COSE_Sign1`.
const SIGN1: u64 = 18;

/// Content types of a signed manifest: the present one, and that of early drafts.
const CONTENT_TYPES: [&str; 2] = ["application/rim+cbor", "application/corim-unsigned+cbor"];

/// Parameters of the protected header: RFC 9052 section 3.1, draft-ietf-rats-corim
/// (`corim-meta-map`), RFC 9597.
const CONTENT_TYPE: i64 = 3;
const META: i64 = 8;
const CWT_CLAIMS: i64 = 15;

/// Bytes of `corim-meta` at most.
const MAX_META_BYTES: usize = 16 * 1024;

impl Manifest {
    /// A manifest that follows no profile and holds at all times.
    #[must_use]
    pub fn new(id: &str, values: Vec<ReferenceValue>) -> Self {
        Self {
            id: id.to_owned(),
            profile: None,
            validity: Validity::default(),
            values,
            skipped: 0,
        }
    }

    /// The launch measurements that it names, each as its digest's bytes.
    ///
    /// Those are values that say nothing but a digest, of the measurement
    /// `launch-measurement` or of none in particular: what also asks for a version or a
    /// flag, or is for one machine or a group of them, would be accepted without that.
    pub fn launch_measurements(&self) -> impl Iterator<Item = &[u8]> {
        let is_launch = |value: &&ReferenceValue| {
            let key = match &value.key {
                None => true,
                Some(key) => *key == MeasurementKey::Text(LAUNCH_MEASUREMENT.to_owned()),
            };
            let conditions = (
                &value.version,
                &value.security_version,
                &value.raw_value,
                value.flags,
            );
            let whose = (&value.environment.instance, &value.environment.group);
            key && whose == (&None, &None) && conditions == (&None, &None, &None, Flags::default())
        };
        let digests = self.values.iter().filter(is_launch);
        digests.flat_map(|value| value.digests.iter().map(|digest| digest.bytes.as_slice()))
    }

    /// Whether `bytes` are tagged as a signed manifest.
    ///
    /// # Errors
    ///
    /// [`Error`] when they are not CBOR within the limits.
    pub fn is_signed(bytes: &[u8]) -> Result<bool, Error> {
        let value = untagged(cbor::read(bytes, MAX_BYTES)?, CORIM);
        Ok(matches!(value, Value::Tag(SIGNED | SIGN1, _)))
    }

    /// Reads an unsigned manifest, tag 501. Nobody vouches for it: the caller must know
    /// where it is from.
    ///
    /// # Errors
    ///
    /// [`Error`] when it is malformed or does not hold at `now`.
    pub fn from_unsigned(bytes: &[u8], now: UnixTime) -> Result<Self, Error> {
        let value = untagged(cbor::read(bytes, MAX_BYTES)?, CORIM);
        Self::from_value(value, now)
    }

    /// Verifies and reads a signed manifest, a tagged `COSE_Sign1`.
    ///
    /// # Errors
    ///
    /// [`Error`] when `key` did not sign it, when it is malformed, or when the manifest
    /// or its signature does not hold at `now`.
    pub fn from_signed(bytes: &[u8], key: &VerifyingKey, now: UnixTime) -> Result<Self, Error> {
        let value = untagged(untagged(cbor::read(bytes, MAX_BYTES)?, CORIM), SIGNED);
        if !matches!(value, Value::Tag(SIGN1, _)) {
            return Err(Error::Tag("a signed manifest"));
        }
        let signed = cose::verify(value, key)?;
        check_header(&signed.header, now)?;
        Self::from_value(cbor::read(&signed.payload, MAX_BYTES)?, now)
    }

    /// The manifest in deterministic CBOR, unsigned, tag 501.
    ///
    /// # Errors
    ///
    /// [`Error`] when the manifest is not one that could be read: without values, or with
    /// a value that lacks environment or measurement.
    pub fn to_unsigned(&self) -> Result<Vec<u8>, Error> {
        if self.values.is_empty() {
            return Err(Error::Missing("reference values"));
        }
        if self.validity.not_before.is_some() && self.validity.not_after.is_none() {
            return Err(Error::Missing("the end of its validity"));
        }
        let bytes = cbor::write(cbor::tagged(UNSIGNED, write::manifest(self)));
        if let Value::Tag(_, inner) = cbor::read(&bytes, MAX_BYTES)? {
            read::manifest(&inner)?;
        }
        Ok(bytes)
    }

    /// The manifest as a tagged `COSE_Sign1`; `signer` names who vouches for it.
    ///
    /// # Errors
    ///
    /// Those of [`to_unsigned`](Self::to_unsigned), and [`Error::Signing`].
    pub fn to_signed(&self, signer: &str, key: &SigningKey) -> Result<Vec<u8>, Error> {
        let meta = cbor::map(vec![(0, cbor::map(vec![(0, signer.into())]))]);
        let header = vec![
            (CONTENT_TYPE, CONTENT_TYPES[0].into()),
            (META, Value::Bytes(cbor::write(meta))),
        ];
        Ok(cbor::write(cose::sign(self.to_unsigned()?, header, key)?))
    }

    fn from_value(value: Value, now: UnixTime) -> Result<Self, Error> {
        let Value::Tag(UNSIGNED, inner) = value else {
            return Err(Error::Tag("an unsigned manifest"));
        };
        let manifest = read::manifest(&inner)?;
        manifest.validity.check(now)?;
        Ok(manifest)
    }
}

impl Validity {
    fn check(self, now: UnixTime) -> Result<(), Error> {
        match self {
            Self {
                not_before: Some(start),
                ..
            } if now < start => Err(Error::NotYetValid(start)),
            Self {
                not_after: Some(end),
                ..
            } if end < now => Err(Error::Expired(end)),
            _ => Ok(()),
        }
    }
}

/// Checks content type, signer and validity of a signature
/// (draft-ietf-rats-corim, `protected-corim-header-map`).
fn check_header(header: &[(Value, Value)], now: UnixTime) -> Result<(), Error> {
    let content_type = cbor::get(header, CONTENT_TYPE).and_then(Value::as_text);
    if !content_type.is_some_and(|found| CONTENT_TYPES.contains(&found)) {
        return Err(Error::Header("content type"));
    }
    let meta = cbor::get(header, META);
    let claims = cbor::get(header, CWT_CLAIMS);
    if meta.is_none() && claims.is_none() {
        return Err(Error::Header("signer"));
    }
    if let Some(meta) = meta {
        let meta = meta.as_bytes().ok_or(Error::Header("signer"))?;
        read::meta(&cbor::read(meta, MAX_META_BYTES)?)?.check(now)?;
    }
    if let Some(claims) = claims {
        read::claims(claims)?.check(now)?;
    }
    Ok(())
}

/// What `value` is about: early drafts wrapped manifests in further tags.
fn untagged(value: Value, tag: u64) -> Value {
    match value {
        Value::Tag(found, inner) if found == tag => *inner,
        value => value,
    }
}
