//! Attestation results: made, read back, and refused.

use std::collections::BTreeMap;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ciborium::Value;
use enarx_owner_appraisal::{
    CoseError, KeyError, SignatureAlgorithm, SigningKey, VerifyingKey,
    ear::{
        Appraisal, AttestationResult, Error, MAX_BYTES, PROFILE, Tier, TrustClaim, TrustVector,
        VerifierId,
    },
};
use enarx_owner_evidence::UnixTime;
use serde_json::{Value as Json, json};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// A key of each kind.
pub(crate) fn keys() -> [SigningKey; 3] {
    [0, 1, 2].map(|form| SigningKey::from_pkcs8_der(&pkcs8(form)).unwrap())
}

/// A private key on P-256, P-384 or Ed25519.
fn pkcs8(form: usize) -> Vec<u8> {
    let random = SystemRandom::new();
    let ecdsa = |algorithm| EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let document = match form {
        0 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        1 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => Ed25519KeyPair::generate_pkcs8(&random).unwrap(),
    };
    document.as_ref().to_vec()
}

fn vector() -> TrustVector {
    TrustVector {
        instance_identity: TrustClaim::AFFIRMED,
        executables: TrustClaim::UNRECOGNIZED_RUNTIME,
        hardware: TrustClaim::AFFIRMED,
        ..TrustVector::default()
    }
}

fn result() -> AttestationResult {
    let keep = Appraisal::new(vector(), vec!["production".to_owned()]);
    AttestationResult {
        issued_at: NOW,
        expires_at: Some(UnixTime(NOW.0 + 60)),
        verifier: VerifierId {
            developer: "https://enarx.dev".to_owned(),
            build: "enarx 0.1.0".to_owned(),
        },
        nonce: Some((0xf8..=0xff).collect()),
        raw_evidence: Some(vec![0xfb, 0xff, 0xfe, 1]),
        submodules: BTreeMap::from([("keep".to_owned(), keep)]),
    }
}

/// The private key of tokens with claims that the library does not write.
pub(crate) struct Minter(EcdsaKeyPair, pub(crate) VerifyingKey);

impl Minter {
    pub(crate) fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
        let key = SigningKey::from_pkcs8_der(document.as_ref()).unwrap();
        Self(pair, key.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }

    fn jwt(&self, header: &Json, claims: &str) -> Result<AttestationResult, Error> {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        AttestationResult::from_jwt(&format!("{message}.{signature}"), &self.1, NOW)
    }

    fn claims(&self, claims: &Json) -> Result<AttestationResult, Error> {
        self.jwt(&json!({ "alg": "ES256" }), &claims.to_string())
    }

    fn cwt(&self, header: Vec<(Value, Value)>, claims: &Value) -> Result<AttestationResult, Error> {
        let [header, payload] = [&Value::Map(header), claims].map(encoded);
        AttestationResult::from_cwt(&self.cose(&header, &payload), &self.1, NOW)
    }

    /// A tagged `COSE_Sign1` with any header and payload.
    pub(crate) fn cose(&self, header: &[u8], payload: &[u8]) -> Vec<u8> {
        let [header, payload, none] =
            [header, payload, &[]].map(|part| Value::Bytes(part.to_vec()));
        let message = [&"Signature1".into(), &header, &none, &payload].map(Clone::clone);
        let signature = self.sign(&encoded(&Value::Array(message.to_vec())));
        let unprotected = Value::Map(Vec::new());
        let parts = vec![header, unprotected, payload, Value::Bytes(signature)];
        encoded(&Value::Tag(18, Box::new(Value::Array(parts))))
    }
}

pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn es256() -> Vec<(Value, Value)> {
    vec![(1.into(), (-7).into())]
}

#[test]
fn the_status_is_the_worst_tier_of_the_claims_that_are_made() {
    let tiers = [
        (0, Tier::None),
        (1, Tier::None),
        (-1, Tier::None),
        (2, Tier::Affirming),
        (31, Tier::Affirming),
        (-2, Tier::Affirming),
        (-32, Tier::Affirming),
        (32, Tier::Warning),
        (95, Tier::Warning),
        (-33, Tier::Warning),
        (-96, Tier::Warning),
        (96, Tier::Contraindicated),
        (127, Tier::Contraindicated),
        (-97, Tier::Contraindicated),
        (-128, Tier::Contraindicated),
    ];
    for (number, tier) in tiers {
        assert_eq!(TrustClaim(number).tier(), tier, "{number}");
    }
    for position in 0..8 {
        for (number, tier) in tiers {
            let mut claims = [TrustClaim::AFFIRMED; 8];
            claims[position] = TrustClaim(number);
            let expected = if number == 0 { Tier::Affirming } else { tier };
            assert_eq!(
                TrustVector::from_claims(claims).tier(),
                expected,
                "{number}"
            );
            assert_eq!(TrustVector::from_claims(claims).claims(), claims);
        }
    }
    assert_eq!(TrustVector::default().tier(), Tier::None);
}

#[test]
fn a_result_survives_every_encoding_with_every_key() {
    for key in keys() {
        let public = VerifyingKey::from_spki_der(&key.verifying_key().to_spki_der()).unwrap();
        assert_eq!(public, key.verifying_key());
        let token = result().to_jwt(&key).unwrap();
        assert_eq!(
            AttestationResult::from_jwt(&token, &public, NOW),
            Ok(result())
        );
        let token = result().to_cwt(&key).unwrap();
        assert_eq!(
            AttestationResult::from_cwt(&token, &public, NOW),
            Ok(result())
        );
        let wrapped = Value::Tag(61, Box::new(ciborium::from_reader(&*token).unwrap()));
        let wrapped = encoded(&wrapped);
        assert_eq!(
            AttestationResult::from_cwt(&wrapped, &public, NOW),
            Ok(result())
        );
    }
}

#[test]
fn the_claims_have_the_names_of_the_draft() {
    let expected = json!({
        "eat_profile": "tag:ietf.org,2026:rats/ear#04",
        "ear_status": "warning",
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "ear_verifier_id": { "developer": "https://enarx.dev", "build": "enarx 0.1.0" },
        "ear_raw_evidence": "-__-AQ",
        "eat_nonce": "+Pn6+/z9/v8=",
        "submods": { "keep": {
            "ear_status": "warning",
            "ear_trustworthiness_vector": {
                "instance-identity": 2, "configuration": 0, "executables": 33,
                "file-system": 0, "hardware": 2, "runtime-opaque": 0, "storage-opaque": 0,
                "sourced-data": 0,
            },
            "ear_appraisal_policy_ids": ["production"],
        } },
    });
    assert_eq!(result().to_json().unwrap(), expected);
}

#[test]
fn the_drafts_example_is_read() {
    // Figure 3 of the draft.
    let claims = json!({
        "eat_profile": PROFILE,
        "iat": 1_666_529_184,
        "ear_verifier_id": { "developer": "https://veraison-project.org", "build": "vts 0.0.1" },
        "ear_raw_evidence": "NzQ3MjY5NzM2NTYzNzQK",
        "submods": { "PSA": {
            "ear_status": "contraindicated",
            "ear_trustworthiness_vector": { "instance-identity": 2, "executables": 96, "hardware": 2 },
            "ear_appraisal_policy_ids": ["https://veraison.example/policy/1/60a0068d"],
        } },
    });
    let read = Minter::new().claims(&claims).unwrap();
    assert_eq!(read.status(), Tier::Contraindicated);
    assert_eq!(read.raw_evidence.as_deref(), Some(&b"74726973656374\n"[..]));
    let vector = read.submodules["PSA"].trust_vector().unwrap();
    assert_eq!(vector.executables, TrustClaim(96));
    assert_eq!(vector.configuration, TrustClaim::NONE);
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let minter = Minter::new();
    let good = result().to_json().unwrap();
    assert_eq!(minter.claims(&good), Ok(result()));
    type Refusal = (&'static str, fn(&mut Json), fn(&Error) -> bool);
    let refused: [Refusal; 14] = [
        (
            "profile",
            |claims| claims["eat_profile"] = "other".into(),
            |error| matches!(error, Error::Profile(_)),
        ),
        (
            "no iat",
            |claims| drop(claims.as_object_mut().unwrap().remove("iat")),
            is_json,
        ),
        ("float iat", |claims| claims["iat"] = 1.5.into(), is_json),
        ("float exp", |claims| claims["exp"] = 1.8e9.into(), is_json),
        (
            "no verifier",
            |claims| claims["ear_verifier_id"] = json!({}),
            is_json,
        ),
        (
            "no submods",
            |claims| claims["submods"] = json!({}),
            |error| *error == Error::Submodules(0),
        ),
        (
            "expired",
            |claims| claims["exp"] = NOW.0.into(),
            |error| *error == Error::Expired(NOW),
        ),
        (
            "short nonce",
            |claims| claims["eat_nonce"] = "AAAA".into(),
            |error| *error == Error::Nonce(3),
        ),
        (
            "bad nonce",
            |claims| claims["eat_nonce"] = "!".into(),
            |error| *error == Error::Claim("eat_nonce"),
        ),
        (
            "status too good",
            |claims| claims["submods"]["keep"]["ear_status"] = "affirming".into(),
            |error| *error == Error::Status(Tier::Affirming),
        ),
        (
            "status of nothing",
            |claims| claims["submods"]["keep"]["ear_status"] = "none".into(),
            |error| *error == Error::Status(Tier::None),
        ),
        (
            "whole status too good",
            |claims| claims["ear_status"] = "affirming".into(),
            |error| *error == Error::Status(Tier::Affirming),
        ),
        (
            "claim too large",
            |claims| {
                claims["submods"]["keep"]["ear_trustworthiness_vector"]["hardware"] = 128.into();
            },
            is_json,
        ),
        (
            "unknown tier",
            |claims| claims["submods"]["keep"]["ear_status"] = "fine".into(),
            is_json,
        ),
    ];
    for (name, change, expected) in refused {
        let mut claims = good.clone();
        change(&mut claims);
        let error = minter.claims(&claims).expect_err(name);
        assert!(expected(&error), "{name}: {error}");
    }
    let mut claims = good;
    claims["unknown"] = json!([1]);
    claims["submods"]["keep"]["ear_status"] = "contraindicated".into();
    claims["ear_status"] = "contraindicated".into();
    let read = minter.claims(&claims).unwrap();
    assert_eq!(
        read.status(),
        Tier::Contraindicated,
        "a status may be worse than its vector"
    );
}

fn is_json(error: &Error) -> bool {
    matches!(error, Error::Json(_))
}

#[test]
fn only_the_keys_algorithm_is_accepted() {
    let minter = Minter::new();
    let claims = result().to_json().unwrap().to_string();
    for name in ["none", "None", "HS256", "ES384", "EdDSA", "es256", ""] {
        let error = minter.jwt(&json!({ "alg": name }), &claims).unwrap_err();
        let expected = "ES256";
        let found = name.to_owned();
        assert_eq!(error, Error::Algorithm { expected, found });
    }
    assert_eq!(minter.jwt(&json!({}), &claims), Err(Error::Jws));
    let critical = json!({ "alg": "ES256", "crit": ["b64"], "b64": false });
    assert_eq!(minter.jwt(&critical, &claims), Err(Error::Critical));

    let claims = cbor_claims();
    assert_eq!(minter.cwt(es256(), &claims), Ok(result()));
    for header in [
        vec![],
        vec![(1.into(), (-35).into())],
        vec![(1.into(), "ES256".into())],
    ] {
        let error = minter.cwt(header, &claims).unwrap_err();
        assert_eq!(error, Error::Cose(CoseError::Algorithm));
    }
    let mut critical = es256();
    critical.push((2.into(), Value::Array(vec![99.into()])));
    let error = minter.cwt(critical, &claims).unwrap_err();
    assert_eq!(error, Error::Cose(CoseError::Critical));

    let keys = keys();
    for (one, key) in keys.iter().enumerate() {
        for (other, wrong) in keys.iter().enumerate().filter(|(other, _)| one != *other) {
            let public = wrong.verifying_key();
            let jwt = result().to_jwt(key).unwrap();
            let cwt = result().to_cwt(key).unwrap();
            assert!(
                AttestationResult::from_jwt(&jwt, &public, NOW).is_err(),
                "{one} {other}"
            );
            assert!(
                AttestationResult::from_cwt(&cwt, &public, NOW).is_err(),
                "{one} {other}"
            );
        }
    }
    let another = Minter::new().1;
    let token = result().to_jwt(&keys[0]).unwrap();
    let error = AttestationResult::from_jwt(&token, &another, NOW).unwrap_err();
    assert_eq!(error, Error::Signature);
    let token = result().to_cwt(&keys[0]).unwrap();
    let error = AttestationResult::from_cwt(&token, &another, NOW).unwrap_err();
    assert_eq!(error, Error::Cose(CoseError::Signature));
}

/// The claims of [`result`] as the library writes them in CBOR.
fn cbor_claims() -> Value {
    let [key, ..] = keys();
    let token: Value = ciborium::from_reader(&*result().to_cwt(&key).unwrap()).unwrap();
    let (_, inner) = token.into_tag().unwrap();
    let payload = inner.into_array().unwrap()[2].as_bytes().unwrap().clone();
    ciborium::from_reader(&*payload).unwrap()
}

#[test]
fn claims_in_cbor_that_do_not_fit_are_refused() {
    let minter = Minter::new();
    let changed = |key: i64, value: Value| {
        let mut claims = cbor_claims().into_map().unwrap();
        claims.retain(|(name, _)| *name != Value::from(key));
        claims.push((key.into(), value));
        minter.cwt(es256(), &Value::Map(claims)).unwrap_err()
    };
    assert_eq!(changed(265, "x".into()), Error::Profile("x".to_owned()));
    assert_eq!(changed(6, 1.5.into()), Error::Claim("iat"));
    assert_eq!(changed(6, (-1).into()), Error::Claim("iat"));
    assert_eq!(changed(4, 1.0.into()), Error::Claim("exp"));
    assert_eq!(changed(4, 7.into()), Error::Expired(UnixTime(7)));
    assert_eq!(changed(10, "text".into()), Error::Claim("eat_nonce"));
    assert_eq!(changed(10, Value::Bytes(vec![0; 65])), Error::Nonce(65));
    assert_eq!(changed(1000, 2.into()), Error::Status(Tier::Affirming));
    assert_eq!(changed(1000, 3.into()), Error::Claim("ear_status"));
    assert_eq!(changed(1004, Value::Null), Error::Claim("ear_verifier_id"));
    assert_eq!(changed(266, Value::Map(vec![])), Error::Submodules(0));
    let many = (0..65).map(|label| (format!("{label}").into(), keep(&[])));
    assert_eq!(
        changed(266, Value::Map(many.collect())),
        Error::Submodules(65)
    );
    let one = |extra: &[(i64, Value)]| changed(266, Value::Map(vec![("keep".into(), keep(extra))]));
    let vector = |value: Value| Value::Map(vec![(4.into(), value)]);
    assert_eq!(
        one(&[(1001, vector(97.into()))]),
        Error::Status(Tier::Warning)
    );
    for wrong in [
        vector(128.into()),
        vector((-129).into()),
        vector("2".into()),
        2.into(),
    ] {
        assert_eq!(
            one(&[(1001, wrong)]),
            Error::Claim("ear_trustworthiness_vector")
        );
    }
    for wrong in [
        Value::Array(vec![]),
        "policy".into(),
        Value::Array(vec![1.into()]),
    ] {
        assert_eq!(
            one(&[(1003, wrong)]),
            Error::Claim("ear_appraisal_policy_ids")
        );
    }
    let mut twice = cbor_claims().into_map().unwrap();
    twice.push((6.into(), 7.into()));
    let error = minter.cwt(es256(), &Value::Map(twice)).unwrap_err();
    assert!(matches!(error, Error::Cbor(_)), "{error}");
}

fn keep(extra: &[(i64, Value)]) -> Value {
    let status = [(1000, 32.into())];
    let claims = status.iter().chain(extra);
    Value::Map(
        claims
            .map(|(key, value)| ((*key).into(), value.clone()))
            .collect(),
    )
}

#[test]
fn no_changed_or_truncated_token_is_accepted() {
    for key in keys() {
        let public = key.verifying_key();
        let jwt = result().to_jwt(&key).unwrap();
        for length in 0..jwt.len() {
            let read = AttestationResult::from_jwt(&jwt[..length], &public, NOW);
            assert!(read.is_err(), "{length}");
        }
        for position in (0..jwt.len()).filter(|position| position % 3 == 0) {
            let mut changed = jwt.clone().into_bytes();
            changed[position] = if changed[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let changed = String::from_utf8(changed).unwrap();
            let read = AttestationResult::from_jwt(&changed, &public, NOW);
            assert!(read.is_err(), "{position}");
        }
        let cwt = result().to_cwt(&key).unwrap();
        for length in 0..cwt.len() {
            let read = AttestationResult::from_cwt(&cwt[..length], &public, NOW);
            assert!(read.is_err(), "{length}");
        }
        for position in 0..cwt.len() {
            let mut changed = cwt.clone();
            changed[position] ^= 1;
            let read = AttestationResult::from_cwt(&changed, &public, NOW);
            assert!(read.is_err(), "{position}");
        }
        let trailing = [&*cwt, &[0]].concat();
        assert!(AttestationResult::from_cwt(&trailing, &public, NOW).is_err());
    }
}

#[test]
fn sizes_are_bounded() {
    let [key, ..] = keys();
    let public = key.verifying_key();
    let long = "A".repeat(MAX_BYTES + 1);
    let error = AttestationResult::from_jwt(&long, &public, NOW).unwrap_err();
    assert_eq!(error, Error::TooLarge(MAX_BYTES + 1));
    let error = AttestationResult::from_cwt(long.as_bytes(), &public, NOW).unwrap_err();
    assert_eq!(error, Error::TooLarge(MAX_BYTES + 1));
    let deep = [0x81; 1000];
    assert!(AttestationResult::from_cwt(&deep, &public, NOW).is_err());
    let mut empty = result();
    empty.submodules.clear();
    assert_eq!(empty.to_jwt(&key), Err(Error::Submodules(0)));
    let mut nonce = result();
    nonce.nonce = Some(vec![0; 7]);
    assert_eq!(nonce.to_cwt(&key), Err(Error::Nonce(7)));
}

#[test]
fn keys_are_read_from_pem() {
    for (form, algorithm) in (0..).zip([
        SignatureAlgorithm::Es256,
        SignatureAlgorithm::Es384,
        SignatureAlgorithm::EdDsa,
    ]) {
        let document = pkcs8(form);
        let pem = |label: &str, der: &[u8]| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        let key = SigningKey::from_pkcs8_pem(&pem("PRIVATE KEY", &document)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let public = key.verifying_key();
        let text = pem("PUBLIC KEY", &public.to_spki_der());
        assert_eq!(VerifyingKey::from_pem(&text), Ok(public));
        let error = SigningKey::from_pkcs8_pem(&text).unwrap_err();
        assert_eq!(error, KeyError::Pem("PRIVATE KEY"));
        assert!(!format!("{key:?}").contains(&STANDARD.encode(&document)));
    }
    for text in [
        "",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
    ] {
        assert!(VerifyingKey::from_pem(text).is_err());
    }
    let error = VerifyingKey::from_pem(&" ".repeat(5000)).unwrap_err();
    assert_eq!(error, KeyError::TooLarge);
}

#[test]
fn a_key_without_its_public_half_is_read() {
    // The example of RFC 8410 section 10.3: other tools write Ed25519 keys like this.
    let key = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    let key = SigningKey::from_pkcs8_pem(key).unwrap();
    assert_eq!(Ok(key.verifying_key()), VerifyingKey::from_pem(public));
}

#[test]
fn a_verdict_becomes_an_appraisal_that_is_no_better() {
    use crate::keys::{evidence, submission};
    use enarx_owner_appraisal::{Profile, ReferenceValues, appraise};

    let genuine_like = evidence(&crate::mint::sign(crate::mint::report()));
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let judge = |profile: Profile| {
        let verdict = appraise(&submission(&genuine_like), &profile.policy(), &reference);
        verdict.to_appraisal()
    };
    // Accepted, and yet of a simulator.
    let simulated = judge(Profile::Simulation);
    assert_eq!(simulated.status(), Tier::Contraindicated);
    let vector = simulated.trust_vector().unwrap();
    assert_eq!(vector.executables, TrustClaim::AFFIRMED);
    assert_eq!(vector.runtime_opaque, TrustClaim::AFFIRMED);
    assert_eq!(vector.hardware, TrustClaim::UNRECOGNIZED);
    assert_eq!(simulated.policy_ids(), ["simulation"]);
    let rejected = judge(Profile::Standard);
    assert_eq!(rejected.status(), Tier::Contraindicated);
    let vector = rejected.trust_vector().unwrap();
    assert_eq!(vector.instance_identity, TrustClaim::CONTRAINDICATED);
    // Whoever lets anything run has approved of nothing that does.
    let anything = judge(Profile::Evidence);
    let vector = anything.trust_vector().unwrap();
    assert_eq!(vector.executables, TrustClaim::NONE);
}
