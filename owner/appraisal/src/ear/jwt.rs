//! JWS in compact form (RFC 7515 section 7.1), with the key's algorithm only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::Error;
use crate::signature::{SigningKey, VerifyingKey};

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
    b64: Option<bool>,
}

/// Signs `claims`.
pub(super) fn sign(claims: &serde_json::Value, key: &SigningKey) -> Result<String, Error> {
    let header = serde_json::json!({ "alg": key.algorithm().jose_name(), "typ": "JWT" });
    let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())?);
    Ok(format!("{message}.{signature}"))
}

/// The payload of `token`, if `key` signed it.
pub(super) fn verify(token: &str, key: &VerifyingKey) -> Result<Vec<u8>, Error> {
    let (message, signature) = token.rsplit_once('.').ok_or(Error::Jws)?;
    let (header, payload) = message.split_once('.').ok_or(Error::Jws)?;
    let [header, payload, signature] = [header, payload, signature]
        .map(|part| URL_SAFE_NO_PAD.decode(part).map_err(|_| Error::Jws));
    let (header, payload, signature) = (header?, payload?, signature?);
    let header: Header = serde_json::from_slice(&header).map_err(|_| Error::Jws)?;
    let expected = key.algorithm().jose_name();
    if header.alg != expected {
        let found = header.alg;
        return Err(Error::Algorithm { expected, found });
    }
    if header.crit.is_some() || header.b64.is_some() {
        return Err(Error::Critical);
    }
    if !key.verifies(message.as_bytes(), &signature) {
        return Err(Error::Signature);
    }
    Ok(payload)
}
