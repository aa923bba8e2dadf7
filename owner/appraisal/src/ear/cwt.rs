//! The claims of a result in CBOR, and their `COSE_Sign1`.

use std::collections::BTreeMap;

use ciborium::Value;
use enarx_owner_evidence::UnixTime;

use super::{
    Appraisal, AttestationResult, Error, MAX_BYTES, PROFILE, Tier, TrustClaim, TrustVector,
    VerifierId,
};
use crate::{
    cbor, cose,
    signature::{SigningKey, VerifyingKey},
};

/// The tag of a CBOR Web Token (RFC 8392 section 6).
const CWT_TAG: u64 = 61;

/// Keys of claims: RFC 8392 section 4, RFC 9711 section 10.2, draft-ietf-rats-ear-04
/// section 9.1.
const EXPIRES: i64 = 4;
const ISSUED_AT: i64 = 6;
const NONCE: i64 = 10;
const EAT_PROFILE: i64 = 265;
const SUBMODULES: i64 = 266;
const STATUS: i64 = 1000;
const TRUST_VECTOR: i64 = 1001;
const RAW_EVIDENCE: i64 = 1002;
const POLICY_IDS: i64 = 1003;
const VERIFIER_ID: i64 = 1004;

/// Keys of a verifier's identity (draft-ietf-rats-ar4si section 3.3).
const DEVELOPER: i64 = 0;
const BUILD: i64 = 1;

type Map = [(Value, Value)];

pub(super) fn sign(result: &AttestationResult, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let payload = cbor::write(claims(result));
    Ok(cbor::write(cose::sign(payload, Vec::new(), key)?))
}

pub(super) fn verify(token: &[u8], key: &VerifyingKey) -> Result<AttestationResult, Error> {
    let value = match cbor::read(token, MAX_BYTES)? {
        Value::Tag(CWT_TAG, inner) => *inner,
        value => value,
    };
    let signed = cose::verify(value, key)?;
    let claims = cbor::read(&signed.payload, MAX_BYTES)?;
    let claims = claims.as_map().ok_or(Error::Claim("set"))?;
    read(claims)
}

fn claims(result: &AttestationResult) -> Value {
    let submodules = result.submodules.iter();
    let submodules = submodules.map(|(label, appraisal)| (label.clone().into(), of(appraisal)));
    let verifier = cbor::map(vec![
        (DEVELOPER, result.verifier.developer.clone().into()),
        (BUILD, result.verifier.build.clone().into()),
    ]);
    let mut claims = vec![
        (EAT_PROFILE, PROFILE.into()),
        (STATUS, result.status().number().into()),
        (ISSUED_AT, result.issued_at.0.into()),
        (VERIFIER_ID, verifier),
        (SUBMODULES, Value::Map(submodules.collect())),
    ];
    claims.extend(result.expires_at.map(|time| (EXPIRES, time.0.into())));
    for (key, bytes) in [(NONCE, &result.nonce), (RAW_EVIDENCE, &result.raw_evidence)] {
        claims.extend(bytes.clone().map(|bytes| (key, Value::Bytes(bytes))));
    }
    cbor::map(claims)
}

fn of(appraisal: &Appraisal) -> Value {
    let mut claims = vec![(STATUS, appraisal.status.number().into())];
    claims.extend(appraisal.trust_vector.map(|vector| {
        let vector = (0..).zip(vector.claims());
        let vector = vector.map(|(key, claim)| (key, claim.0.into()));
        (TRUST_VECTOR, cbor::map(vector.collect()))
    }));
    if !appraisal.policy_ids.is_empty() {
        let ids = appraisal.policy_ids.iter().cloned();
        claims.push((POLICY_IDS, Value::Array(ids.map(Value::Text).collect())));
    }
    cbor::map(claims)
}

fn read(claims: &Map) -> Result<AttestationResult, Error> {
    let profile = text(claims, EAT_PROFILE, "eat_profile")?;
    if profile != PROFILE {
        return Err(Error::Profile(profile));
    }
    let verifier = cbor::get(claims, VERIFIER_ID).and_then(Value::as_map);
    let verifier = verifier.ok_or(Error::Claim("ear_verifier_id"))?;
    let submodules = cbor::get(claims, SUBMODULES).and_then(Value::as_map);
    let submodules = submodules.ok_or(Error::Claim("submods"))?.iter();
    let result = AttestationResult {
        issued_at: time(claims, ISSUED_AT, "iat")?.ok_or(Error::Claim("iat"))?,
        expires_at: time(claims, EXPIRES, "exp")?,
        verifier: VerifierId {
            developer: text(verifier, DEVELOPER, "developer")?,
            build: text(verifier, BUILD, "build")?,
        },
        nonce: bytes(claims, NONCE, "eat_nonce")?,
        raw_evidence: bytes(claims, RAW_EVIDENCE, "ear_raw_evidence")?,
        submodules: submodules
            .map(submodule)
            .collect::<Result<BTreeMap<_, _>, _>>()?,
    };
    let status = cbor::get(claims, STATUS).map(tier).transpose()?;
    result.whole_status_is(status)?;
    Ok(result)
}

fn submodule((label, claims): &(Value, Value)) -> Result<(String, Appraisal), Error> {
    let label = label.as_text().ok_or(Error::Claim("submods"))?;
    let claims = claims.as_map().ok_or(Error::Claim("submods"))?;
    let status = cbor::get(claims, STATUS).ok_or(Error::Claim("ear_status"))?;
    let vector = cbor::get(claims, TRUST_VECTOR).map(vector).transpose()?;
    let policies = cbor::get(claims, POLICY_IDS).map(policy_ids).transpose()?;
    let appraisal = Appraisal::received(tier(status)?, vector, policies.unwrap_or_default())?;
    Ok((label.to_owned(), appraisal))
}

fn vector(value: &Value) -> Result<TrustVector, Error> {
    let wrong = Error::Claim("ear_trustworthiness_vector");
    let map = value.as_map().ok_or(wrong.clone())?;
    let mut claims = [TrustClaim::NONE; 8];
    for (key, claim) in (0..).zip(&mut claims) {
        if let Some(value) = cbor::get(map, key) {
            let number = value.as_integer().and_then(|number| number.try_into().ok());
            *claim = TrustClaim(number.ok_or(wrong.clone())?);
        }
    }
    Ok(TrustVector::from_claims(claims))
}

fn policy_ids(value: &Value) -> Result<Vec<String>, Error> {
    let ids = value.as_array().into_iter().flatten();
    let ids = ids.map(|id| id.as_text().map(str::to_owned));
    let ids: Option<Vec<_>> = ids.collect();
    let ids = ids.filter(|ids| !ids.is_empty());
    ids.ok_or(Error::Claim("ear_appraisal_policy_ids"))
}

fn tier(value: &Value) -> Result<Tier, Error> {
    let tier = cbor::unsigned(value).and_then(Tier::from_number);
    tier.ok_or(Error::Claim("ear_status"))
}

fn text(map: &Map, key: i64, claim: &'static str) -> Result<String, Error> {
    let text = cbor::get(map, key).and_then(Value::as_text);
    text.map(str::to_owned).ok_or(Error::Claim(claim))
}

fn bytes(map: &Map, key: i64, claim: &'static str) -> Result<Option<Vec<u8>>, Error> {
    let bytes = cbor::get(map, key);
    let bytes = bytes.map(|value| value.as_bytes().cloned().ok_or(Error::Claim(claim)));
    bytes.transpose()
}

fn time(map: &Map, key: i64, claim: &'static str) -> Result<Option<UnixTime>, Error> {
    let time = cbor::get(map, key);
    let time = time.map(|value| cbor::unsigned(value).ok_or(Error::Claim(claim)));
    Ok(time.transpose()?.map(UnixTime))
}
