//! The claims of both parts.

use ciborium::Value;

use crate::cose::{Map, read};

use super::Error;

/// What the platform says of itself (draft-ffm-rats-cca-token, platform claims).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformClaims {
    /// The digest of the realm's key, which binds the realm's part.
    pub(super) challenge: Vec<u8>,
    /// The model of the platform's immutable part, 32 bytes.
    pub implementation_id: Vec<u8>,
    /// The one platform, 33 bytes.
    pub instance_id: Vec<u8>,
    /// How it is configured, in a form of its vendor's.
    pub config: Vec<u8>,
    /// Its state.
    pub lifecycle: Lifecycle,
    /// Digests of its firmware.
    pub software: Vec<Vec<u8>>,
}

/// The state of a platform (draft-ffm-rats-cca-token, lifecycle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle(pub u16);

impl Lifecycle {
    /// In operation, and closed.
    #[must_use]
    pub const fn is_secured(self) -> bool {
        self.0 >> 8 == 0x30
    }

    /// In operation, and open to debugging in a way that the token tells.
    #[must_use]
    pub const fn is_debug(self) -> bool {
        matches!(self.0 >> 8, 0x40 | 0x50)
    }
}

/// What the realm management monitor says of a realm (draft-ffm-rats-cca-token, realm
/// claims).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmClaims {
    /// What the realm put in, 64 bytes.
    pub challenge: Vec<u8>,
    /// What the host put in at launch, 64 bytes.
    pub personalization_value: Vec<u8>,
    /// Digest of what was loaded before the realm ran.
    pub initial_measurement: Vec<u8>,
    /// The four measurements that the realm can extend.
    pub extensible_measurements: Vec<Vec<u8>>,
    /// The realm's key as the token has it.
    pub(super) key: Vec<u8>,
    /// The hash with which the platform names that key.
    pub(super) key_hash: String,
    /// The point of that key, uncompressed.
    pub(super) point: Vec<u8>,
}

const CHALLENGE: i64 = 10;
const PROFILE: i64 = 265;
const INSTANCE_ID: i64 = 256;
const LIFECYCLE: i64 = 2395;
const IMPLEMENTATION_ID: i64 = 2396;
const SOFTWARE_COMPONENTS: i64 = 2399;
const CONFIG: i64 = 2401;
const PLATFORM_HASH: i64 = 2402;
const PERSONALIZATION_VALUE: i64 = 44235;
const REALM_HASH: i64 = 44236;
const REALM_KEY: i64 = 44237;
const INITIAL_MEASUREMENT: i64 = 44238;
const EXTENSIBLE_MEASUREMENTS: i64 = 44239;
const REALM_KEY_HASH: i64 = 44240;
/// The digest of a firmware component.
const COMPONENT_MEASUREMENT: i64 = 2;

/// The platform's profile before the draft, in it, and since its version 3. The later ones add
/// claims, of which none is looked at.
const PLATFORM_PROFILES: [&str; 3] = [
    "http://arm.com/CCA-SSD/1.0.0",
    "tag:arm.com,2023:cca_platform#1.0.0",
    "tag:arm.com,2024:cca_platform#2.0.0",
];
/// The realm's profile in the draft, and since its version 3; before it there was none.
const REALM_PROFILES: [&str; 2] = [
    "tag:arm.com,2023:realm#1.0.0",
    "tag:arm.com,2024:realm#2.0.0",
];
/// What an uncompressed point begins with (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;
/// Sizes of digests in bytes.
const DIGESTS: [usize; 3] = [32, 48, 64];

/// The claims of one part, with its name for errors.
struct Claims {
    part: &'static str,
    map: Map,
}

impl Claims {
    fn bytes(&self, key: i64, claim: &'static str, sizes: &[usize]) -> Result<Vec<u8>, Error> {
        let bytes = self.map.get(key).and_then(Value::as_bytes);
        let bytes = bytes.filter(|bytes| sizes.is_empty() || sizes.contains(&bytes.len()));
        bytes.cloned().ok_or(self.wrong(claim))
    }

    fn text(&self, key: i64, claim: &'static str) -> Result<&str, Error> {
        let text = self.map.get(key).and_then(Value::as_text);
        text.ok_or(self.wrong(claim))
    }

    fn wrong(&self, claim: &'static str) -> Error {
        Error::Claim {
            part: self.part,
            claim,
        }
    }
}

impl PlatformClaims {
    pub(super) fn read(payload: &[u8]) -> Result<Self, Error> {
        let map = read(payload).and_then(Map::new).map_err(Error::Platform)?;
        let part = "platform";
        let claims = Claims { part, map };
        if !PLATFORM_PROFILES.contains(&claims.text(PROFILE, "profile")?) {
            return Err(claims.wrong("profile"));
        }
        claims.text(PLATFORM_HASH, "hash algorithm")?;
        let lifecycle = claims.map.get(LIFECYCLE).and_then(Value::as_integer);
        let lifecycle = lifecycle.and_then(|number| u16::try_from(number).ok());
        Ok(Self {
            challenge: claims.bytes(CHALLENGE, "challenge", &DIGESTS)?,
            implementation_id: claims.bytes(IMPLEMENTATION_ID, "implementation ID", &[32])?,
            instance_id: claims.bytes(INSTANCE_ID, "instance ID", &[33])?,
            config: claims.bytes(CONFIG, "configuration", &[])?,
            lifecycle: Lifecycle(lifecycle.ok_or(claims.wrong("lifecycle"))?),
            software: software(&claims)?,
        })
    }
}

/// Each component is a map with a digest.
fn software(claims: &Claims) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = || claims.wrong("software components");
    let list = claims
        .map
        .get(SOFTWARE_COMPONENTS)
        .and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    list.iter()
        .map(|component| {
            let component = Map::new(component.clone()).map_err(|_| wrong())?;
            let digest = component.get(COMPONENT_MEASUREMENT);
            let digest = digest.and_then(Value::as_bytes);
            let digest = digest.filter(|digest| DIGESTS.contains(&digest.len()));
            digest.cloned().ok_or_else(wrong)
        })
        .collect()
}

impl RealmClaims {
    pub(super) fn read(payload: &[u8]) -> Result<Self, Error> {
        let map = read(payload).and_then(Map::new).map_err(Error::Realm)?;
        let part = "realm";
        let claims = Claims { part, map };
        let known = |profile: &Value| {
            let profile = profile.as_text();
            profile.is_some_and(|profile| REALM_PROFILES.contains(&profile))
        };
        if !claims.map.get(PROFILE).is_none_or(known) {
            return Err(claims.wrong("profile"));
        }
        claims.text(REALM_HASH, "hash algorithm")?;
        let extensible = claims.map.get(EXTENSIBLE_MEASUREMENTS);
        let extensible = extensible.and_then(Value::as_array);
        let extensible = extensible.filter(|list| list.len() == 4);
        let extensible = extensible.and_then(|list| {
            let digest = |one: &Value| {
                let bytes = one.as_bytes()?;
                DIGESTS.contains(&bytes.len()).then(|| bytes.clone())
            };
            list.iter().map(digest).collect::<Option<Vec<_>>>()
        });
        let key = claims.bytes(REALM_KEY, "public key", &[])?;
        // Before the draft it was a point, whose first byte no map begins with.
        let point = match key.first() {
            Some(&UNCOMPRESSED) => key.clone(),
            _ => point_of_cose_key(&key).ok_or(claims.wrong("public key"))?,
        };
        Ok(Self {
            challenge: claims.bytes(CHALLENGE, "challenge", &[64])?,
            personalization_value: claims.bytes(
                PERSONALIZATION_VALUE,
                "personalization value",
                &[64],
            )?,
            initial_measurement: claims.bytes(
                INITIAL_MEASUREMENT,
                "initial measurement",
                &DIGESTS,
            )?,
            extensible_measurements: extensible.ok_or(claims.wrong("extensible measurements"))?,
            key_hash: claims
                .text(REALM_KEY_HASH, "public key hash algorithm")?
                .to_owned(),
            key,
            point,
        })
    }
}

/// The uncompressed point of an EC2 key (RFC 9053, section 7.1.1).
fn point_of_cose_key(key: &[u8]) -> Option<Vec<u8>> {
    let map = read(key).and_then(Map::new).ok()?;
    let is = |label: i64, wanted: i64| map.get(label) == Some(&Value::from(wanted));
    let bytes = match () {
        () if !is(1, 2) => return None,
        () if is(-1, 1) => 32,
        () if is(-1, 2) => 48,
        () if is(-1, 3) => 66,
        () => return None,
    };
    let mut point = vec![UNCOMPRESSED];
    for label in [-2, -3] {
        let coordinate = map.get(label)?.as_bytes()?;
        if coordinate.len() != bytes {
            return None;
        }
        point.extend(coordinate);
    }
    Some(point)
}
