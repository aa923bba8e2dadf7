//! Verification of tokens.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use ciborium::Value;

use crate::{
    Assurance, CoseError, Digest, Step,
    cose::{Map, Sign1, read},
};

use super::{Error, PlatformClaims, PlatformKey, RealmClaims};

/// The CBOR tag of a collection before the draft.
const COLLECTION: u64 = 399;
/// The CBOR tag of a collection since (draft-ietf-rats-msg-wrap, CMW collection).
const CMW_COLLECTION: u64 = 907;
/// The key of the platform's token in a collection.
const PLATFORM_TOKEN: i64 = 44234;
/// The key of the realm's token in a collection.
const REALM_TOKEN: i64 = 44241;

/// A token whose platform key is trusted to vouch for what `A` says.
///
/// Only verification makes one.
#[derive(Debug, Clone)]
pub struct VerifiedToken<A: Assurance> {
    platform: PlatformClaims,
    realm: RealmClaims,
    key: PlatformKey<A>,
}

/// Verifies a token under whichever of `keys` signed it.
///
/// # Errors
///
/// The first thing found wrong; with several keys, what was wrong with the last.
pub fn verify<A: Assurance>(
    token: &[u8],
    keys: &[PlatformKey<A>],
) -> Result<VerifiedToken<A>, Error> {
    let (platform_token, realm_token) = parts(token)?;
    let platform = Sign1::parse(&platform_token).map_err(Error::Platform)?;
    let realm = Sign1::parse(&realm_token).map_err(Error::Realm)?;
    let platform_claims = PlatformClaims::read(platform.payload())?;
    let realm_claims = RealmClaims::read(realm.payload())?;

    let mut refusal = Error::PlatformKey("none was given");
    let signer = keys.iter().find(|key| match platform.verify(&key.point) {
        Ok(()) => true,
        Err(error) => {
            refusal = Error::Platform(error);
            false
        }
    });
    let key = signer.ok_or(refusal)?.clone();
    let algorithm = match realm_claims.key_hash.as_str() {
        "sha-256" => &SHA256,
        "sha-384" => &SHA384,
        "sha-512" => &SHA512,
        _ => {
            return Err(Error::Claim {
                part: "realm",
                claim: "public key hash algorithm",
            });
        }
    };
    if digest::digest(algorithm, &realm_claims.key).as_ref() != platform_claims.challenge {
        return Err(Error::Binding);
    }
    realm.verify(&realm_claims.point).map_err(Error::Realm)?;
    let lifecycle = platform_claims.lifecycle;
    if !lifecycle.is_secured() && !lifecycle.is_debug() {
        return Err(Error::Lifecycle(lifecycle.0));
    }
    Ok(VerifiedToken {
        platform: platform_claims,
        realm: realm_claims,
        key,
    })
}

/// The platform's and the realm's token of a collection.
fn parts(token: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let wrong = Error::Collection;
    let malformed = |error| match error {
        CoseError::TooLarge(_) => wrong("it is too large"),
        CoseError::DuplicateKey => wrong("it has a part twice"),
        _ => wrong("it is not a CBOR map"),
    };
    let (tag, contents) = match read(token).map_err(malformed)? {
        Value::Tag(tag @ (COLLECTION | CMW_COLLECTION), contents) => (tag, *contents),
        _ => return Err(wrong("it has another CBOR tag than 399 and 907")),
    };
    let map = Map::new(contents).map_err(malformed)?;
    let part = |key| {
        let value = map.get(key)?;
        match (tag, value) {
            (COLLECTION, Value::Bytes(bytes)) => Some(bytes.clone()),
            // A record: the media type or content format, and the bytes.
            (CMW_COLLECTION, Value::Array(record)) => match record.as_slice() {
                [_, Value::Bytes(bytes), ..] => Some(bytes.clone()),
                _ => None,
            },
            _ => None,
        }
    };
    Ok((
        part(PLATFORM_TOKEN).ok_or(wrong("it has no platform token"))?,
        part(REALM_TOKEN).ok_or(wrong("it has no realm token"))?,
    ))
}

impl<A: Assurance> VerifiedToken<A> {
    /// What the platform says of itself.
    #[must_use]
    pub fn platform(&self) -> &PlatformClaims {
        &self.platform
    }

    /// What is said of the realm.
    #[must_use]
    pub fn realm(&self) -> &RealmClaims {
        &self.realm
    }

    /// The digest of the platform key that signed.
    #[must_use]
    pub fn anchor(&self) -> Digest {
        self.key.digest()
    }

    /// What verification established.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let step = |name, found: String, source| Step {
            name,
            found,
            source,
        };
        vec![
            step(
                "platform token",
                format!(
                    "signed by the trusted key of instance {}",
                    hex::encode(&self.platform.instance_id)
                ),
                "draft-ffm-rats-cca-token, platform token; RFC 9052, section 4.4",
            ),
            step(
                "platform lifecycle",
                format!("{:#06x}", self.platform.lifecycle.0),
                "draft-ffm-rats-cca-token, lifecycle",
            ),
            step(
                "realm key",
                format!("bound by the platform's challenge, {}", self.realm.key_hash),
                "draft-ffm-rats-cca-token, binding of the realm token",
            ),
            step(
                "realm token",
                "signed by the realm key".to_owned(),
                "draft-ffm-rats-cca-token, realm token; RFC 9052, section 4.4",
            ),
        ]
    }
}
