//! Platform attestation keys.

use core::{fmt, marker::PhantomData};

use aws_lc_rs::{
    digest,
    signature::ParsedPublicKey,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{Assurance, Digest};

use super::Error;

/// Largest file with a key that is looked at.
const MAX_KEY_BYTES: usize = 64 * 1024;
/// Most keys in a file.
const MAX_KEYS: usize = 64;

/// The attestation key of a platform (CPAK), trusted by whoever made this value to vouch
/// for what `A` says.
#[derive(Clone)]
pub struct PlatformKey<A: Assurance> {
    /// Uncompressed (SEC 1, section 2.3.3).
    pub(super) point: Vec<u8>,
    assurance: PhantomData<A>,
}

impl<A: Assurance> PlatformKey<A> {
    /// Reads the keys of a file: a JSON Web Key (RFC 7517), or a list of objects with one
    /// under `pkey`, as verifiers keep them for several platforms.
    ///
    /// # Errors
    ///
    /// [`Error::PlatformKey`] when it is neither, or a key is no point of its curve.
    pub fn read(file: &[u8]) -> Result<Vec<Self>, Error> {
        let wrong = Error::PlatformKey;
        if file.len() > MAX_KEY_BYTES {
            return Err(wrong("the file is too large"));
        }
        let value: Value = serde_json::from_slice(file).map_err(|_| wrong("it is not JSON"))?;
        match &value {
            Value::Array(list) if (1..=MAX_KEYS).contains(&list.len()) => list
                .iter()
                .map(|entry| {
                    let key = entry.get("pkey").ok_or(wrong("an entry has no `pkey`"))?;
                    Self::from_jwk(key)
                })
                .collect(),
            Value::Object(_) => Ok(vec![Self::from_jwk(&value)?]),
            _ => Err(wrong("it is neither a key nor a list of keys")),
        }
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
        // Refuses what is not on the curve.
        ParsedPublicKey::new(algorithm, &point)
            .map_err(|_| wrong("it is no point of its curve"))?;
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
