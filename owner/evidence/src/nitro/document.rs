//! The attestation document.

use std::collections::BTreeMap;

use ciborium::Value;

use crate::cose::{self, Map};

use super::Error;

/// Most certificates above the signer's.
const MAX_AUTHORITIES: usize = 8;
/// Highest number of a platform configuration register.
const LAST_PCR: u64 = 31;

/// What the hypervisor says of an enclave (*Nitro Enclaves attestation process*,
/// `AttestationDocument`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The machine and the enclave on it.
    pub module_id: String,
    /// When it was made, in milliseconds since 1970.
    pub timestamp: u64,
    /// Platform configuration registers that are not empty, SHA-384: 0 is the image, 1 the
    /// kernel, 2 the application, 8 its signer.
    pub pcrs: BTreeMap<u8, Vec<u8>>,
    /// A key that the enclave put in, at most 1024 bytes.
    pub public_key: Option<Vec<u8>>,
    /// Data that the enclave put in, at most 512 bytes.
    pub user_data: Option<Vec<u8>>,
    /// The nonce that the enclave put in, at most 512 bytes.
    pub nonce: Option<Vec<u8>>,
    /// The signer's certificate, in DER.
    pub(super) certificate: Vec<u8>,
    /// The certificates above it, the root first, in DER.
    pub(super) authorities: Vec<Vec<u8>>,
}

impl Document {
    pub(super) fn read(payload: &[u8]) -> Result<Self, Error> {
        let map = Map::new(cose::read(payload)?)?;
        let field = |name| map.named(name).ok_or(Error::Field(name));
        let text = |name| field(name)?.as_text().ok_or(Error::Field(name));
        if text("digest")? != "SHA384" {
            return Err(Error::Field("digest"));
        }
        let timestamp = field("timestamp")?.as_integer();
        let timestamp = timestamp.and_then(|number| u64::try_from(number).ok());
        let certificate = field("certificate")?.as_bytes();
        let authorities = field("cabundle")?.as_array().filter(|list| {
            // An empty bundle has no root.
            (1..=MAX_AUTHORITIES).contains(&list.len())
        });
        let authorities = authorities.and_then(|list| {
            let list = list.iter().map(|one| one.as_bytes().cloned());
            list.collect::<Option<Vec<_>>>()
        });
        Ok(Self {
            module_id: text("module_id")?.to_owned(),
            timestamp: timestamp.ok_or(Error::Field("timestamp"))?,
            pcrs: pcrs(field("pcrs")?)?,
            public_key: optional(&map, "public_key", 1024)?,
            user_data: optional(&map, "user_data", 512)?,
            nonce: optional(&map, "nonce", 512)?,
            certificate: certificate.ok_or(Error::Field("certificate"))?.clone(),
            authorities: authorities.ok_or(Error::Field("cabundle"))?,
        })
    }
}

fn pcrs(value: &Value) -> Result<BTreeMap<u8, Vec<u8>>, Error> {
    let wrong = Error::Field("pcrs");
    let map = Map::new(value.clone())?;
    if map.entries().is_empty() {
        return Err(wrong);
    }
    let entries = map.entries().iter().map(|(key, value)| {
        let number = key.as_integer().and_then(|key| u64::try_from(key).ok());
        let number = number.filter(|number| *number <= LAST_PCR);
        let number = number.and_then(|number| u8::try_from(number).ok());
        let digest = value
            .as_bytes()
            .filter(|value| [32, 48, 64].contains(&value.len()));
        number.zip(digest.cloned())
    });
    entries.collect::<Option<_>>().ok_or(wrong)
}

/// A field that can be left out or null.
fn optional(map: &Map, name: &'static str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    match map.named(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bytes(bytes)) if bytes.len() <= limit => Ok(Some(bytes.clone())),
        Some(_) => Err(Error::Field(name)),
    }
}
