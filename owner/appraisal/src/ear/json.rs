//! The claims of a result in JSON.

use std::collections::BTreeMap;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};
use enarx_owner_evidence::UnixTime;
use serde::{Deserialize, Serialize};

use super::{Appraisal, AttestationResult, Error, PROFILE, Tier, TrustVector, VerifierId};

/// Unknown claims are ignored, as section 4 of the draft wants.
#[derive(Serialize, Deserialize)]
struct Claims {
    eat_profile: String,
    ear_status: Option<Tier>,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    ear_verifier_id: VerifierId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ear_raw_evidence: Option<String>,
    submods: BTreeMap<String, AppraisalClaims>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eat_nonce: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct AppraisalClaims {
    ear_status: Tier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ear_trustworthiness_vector: Option<TrustVector>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ear_appraisal_policy_ids: Vec<String>,
}

/// Reads base64 with or without padding: drafts and verifiers differ.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn from_result(result: &AttestationResult) -> Result<serde_json::Value, Error> {
    let submods = result.submodules.iter().map(|(label, appraisal)| {
        let claims = AppraisalClaims {
            ear_status: appraisal.status,
            ear_trustworthiness_vector: appraisal.trust_vector,
            ear_appraisal_policy_ids: appraisal.policy_ids.clone(),
        };
        (label.clone(), claims)
    });
    let raw_evidence = result.raw_evidence.as_ref();
    let claims = Claims {
        eat_profile: PROFILE.to_owned(),
        ear_status: Some(result.status()),
        iat: result.issued_at.0,
        exp: result.expires_at.map(|time| time.0),
        ear_verifier_id: result.verifier.clone(),
        ear_raw_evidence: raw_evidence.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        submods: submods.collect(),
        // Section 3: base64 of 12 to 88 characters, which is with padding.
        eat_nonce: result.nonce.as_ref().map(|bytes| STANDARD.encode(bytes)),
    };
    serde_json::to_value(claims).map_err(|error| Error::Json(error.to_string()))
}

pub(super) fn to_result(json: &[u8]) -> Result<AttestationResult, Error> {
    let claims: Claims =
        serde_json::from_slice(json).map_err(|error| Error::Json(error.to_string()))?;
    if claims.eat_profile != PROFILE {
        return Err(Error::Profile(claims.eat_profile));
    }
    let submodules = claims.submods.into_iter().map(|(label, claims)| {
        let appraisal = Appraisal::received(
            claims.ear_status,
            claims.ear_trustworthiness_vector,
            claims.ear_appraisal_policy_ids,
        )?;
        Ok((label, appraisal))
    });
    let result = AttestationResult {
        issued_at: UnixTime(claims.iat),
        expires_at: claims.exp.map(UnixTime),
        verifier: claims.ear_verifier_id,
        nonce: bytes(claims.eat_nonce, "eat_nonce")?,
        raw_evidence: bytes(claims.ear_raw_evidence, "ear_raw_evidence")?,
        submodules: submodules.collect::<Result<_, Error>>()?,
    };
    result.whole_status_is(claims.ear_status)?;
    Ok(result)
}

impl AttestationResult {
    /// Checks the status that a verifier gives the whole device: no better than the
    /// worst of its attesters.
    pub(super) fn whole_status_is(&self, status: Option<Tier>) -> Result<(), Error> {
        match status {
            Some(status) if status.worse(self.status()) != status => Err(Error::Status(status)),
            _ => Ok(()),
        }
    }
}

fn bytes(text: Option<String>, claim: &'static str) -> Result<Option<Vec<u8>>, Error> {
    let decode = |text: String| {
        let text = text.replace('+', "-").replace('/', "_");
        LENIENT.decode(text).map_err(|_| Error::Claim(claim))
    };
    text.map(decode).transpose()
}
