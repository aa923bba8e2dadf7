//! Platform attestation keys.

use core::{fmt, marker::PhantomData};

use aws_lc_rs::{
    digest,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
        EcdsaVerificationAlgorithm, ParsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use x509_cert::{
    der::{Decode as _, asn1::ObjectIdentifier, pem},
    spki::SubjectPublicKeyInfoRef,
};

use crate::{
    Assurance, Digest,
    x509::{EC_PUBLIC_KEY, SECP256R1, SECP384R1, SECP521R1},
};

use super::Error;

/// Largest file with a key that is looked at.
const MAX_KEY_BYTES: usize = 64 * 1024;
/// Most keys in a file.
const MAX_KEYS: usize = 64;
/// What every DER-encoded `SubjectPublicKeyInfo` begins with, and no JSON.
const DER_SEQUENCE: u8 = 0x30;

/// The attestation key of a platform (CPAK), trusted by whoever made this value to vouch
/// for what `A` says.
#[derive(Clone)]
pub struct PlatformKey<A: Assurance> {
    /// Uncompressed (SEC 1, section 2.3.3).
    pub(super) point: Vec<u8>,
    assurance: PhantomData<A>,
}

impl<A: Assurance> PlatformKey<A> {
    /// Reads the keys of a file: a JSON Web Key or a set of them (RFC 7517), a list of objects
    /// with one under `pkey`, as verifiers keep them for several platforms, or a
    /// `SubjectPublicKeyInfo` (RFC 5280, section 4.1) in PEM or DER.
    ///
    /// # Errors
    ///
    /// [`Error::PlatformKey`] when it is none of these, or a key is no point of its curve.
    pub fn read(file: &[u8]) -> Result<Vec<Self>, Error> {
        let wrong = Error::PlatformKey;
        if file.len() > MAX_KEY_BYTES {
            return Err(wrong("the file is too large"));
        }
        if let Some(key) = Self::from_info(file) {
            return Ok(vec![key?]);
        }
        let value: Value = serde_json::from_slice(file).map_err(|_| wrong("it is not JSON"))?;
        let countable = |list: &Vec<Value>| (1..=MAX_KEYS).contains(&list.len());
        match (&value, value.get("keys")) {
            (Value::Array(list), _) if countable(list) => list
                .iter()
                .map(|entry| {
                    let key = entry.get("pkey").ok_or(wrong("an entry has no `pkey`"))?;
                    Self::from_jwk(key)
                })
                .collect(),
            (_, Some(Value::Array(set))) if countable(set) => {
                set.iter().map(Self::from_jwk).collect()
            }
            (Value::Object(_), None) => Ok(vec![Self::from_jwk(&value)?]),
            _ => Err(wrong("it is neither a key nor a list of keys")),
        }
    }

    /// `None` when the file is neither PEM nor DER.
    fn from_info(file: &[u8]) -> Option<Result<Self, Error>> {
        let wrong = Error::PlatformKey;
        let pem = file.trim_ascii();
        let der = if pem.starts_with(b"-----BEGIN ") {
            match pem::decode_vec(pem) {
                Ok(("PUBLIC KEY", der)) => der,
                _ => return Some(Err(wrong("the PEM block is no `PUBLIC KEY`"))),
            }
        } else if file.first() == Some(&DER_SEQUENCE) {
            file.to_vec()
        } else {
            return None;
        };
        let read = || {
            let malformed = wrong("it is no `SubjectPublicKeyInfo`");
            let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| malformed.clone())?;
            let point = info.subject_public_key.as_bytes().ok_or(malformed)?;
            let curve: Option<ObjectIdentifier> = info
                .algorithm
                .parameters
                .and_then(|parameters| parameters.decode_as().ok());
            let algorithm = match curve {
                _ if info.algorithm.oid != EC_PUBLIC_KEY => {
                    return Err(wrong("it is not on a curve"));
                }
                Some(SECP256R1) => &ECDSA_P256_SHA256_FIXED,
                Some(SECP384R1) => &ECDSA_P384_SHA384_FIXED,
                Some(SECP521R1) => &ECDSA_P521_SHA512_FIXED,
                _ => return Err(wrong("it is on another curve")),
            };
            Self::on_curve(algorithm, point.to_vec())
        };
        Some(read())
    }

    fn from_jwk(key: &Value) -> Result<Self, Error> {
        let wrong = Error::PlatformKey;
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("kty") != Some("EC") {
            return Err(wrong("`kty` is not `EC`"));
        }
        let (bytes, algorithm) = match text("crv") {
            Some("P-256") => (32, &ECDSA_P256_SHA256_FIXED),
            Some("P-384") => (48, &ECDSA_P384_SHA384_FIXED),
            Some("P-521") => (66, &ECDSA_P521_SHA512_FIXED),
            _ => return Err(wrong("`crv` is another curve")),
        };
        let mut point = vec![4];
        for name in ["x", "y"] {
            let text = text(name).ok_or(wrong("a coordinate is missing"))?;
            let coordinate = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
            let coordinate = coordinate.map_err(|_| wrong("a coordinate is not base64url"))?;
            if coordinate.len() != bytes {
                return Err(wrong("a coordinate is of another length than its curve's"));
            }
            point.extend(coordinate);
        }
        Self::on_curve(algorithm, point)
    }

    /// Refuses what is not on the curve, or is compressed.
    fn on_curve(
        algorithm: &'static EcdsaVerificationAlgorithm,
        point: Vec<u8>,
    ) -> Result<Self, Error> {
        let uncompressed = point.first() == Some(&4);
        if !uncompressed || ParsedPublicKey::new(algorithm, &point).is_err() {
            return Err(Error::PlatformKey("it is no point of its curve"));
        }
        Ok(Self {
            point,
            assurance: PhantomData,
        })
    }

    /// SHA-384 of the uncompressed point.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut sha384 = [0; 48];
        sha384.copy_from_slice(digest::digest(&digest::SHA384, &self.point).as_ref());
        sha384
    }
}

impl<A: Assurance> fmt::Debug for PlatformKey<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlatformKey")
            .field("assurance", &A::KIND)
            .field("point", &hex::encode(&self.point))
            .finish()
    }
}
