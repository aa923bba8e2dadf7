//! Attestation results, in JSON and CBOR: any bytes as token, and any bytes as claims of
//! a token that is signed.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use enarx_owner_appraisal::{VerifyingKey, ear::AttestationResult};
use enarx_owner_evidence::UnixTime;

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed"));

static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let front = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    let key = [front, PAIR.public_key().as_ref()].concat();
    VerifyingKey::from_spki_der(&key).expect("a key")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime(1_800_000_000);
    let _ = AttestationResult::from_cwt(bytes, &KEY, now);
    let _ = AttestationResult::from_cwt(&cwt(bytes), &KEY, now);
    let _ = AttestationResult::from_jwt(&jwt(bytes), &KEY, now);
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = AttestationResult::from_jwt(text, &KEY, now);
        let _ = VerifyingKey::from_pem(text);
    }
});

fn jwt(claims: &[u8]) -> String {
    let [header, claims] = [br#"{"alg":"EdDSA"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(PAIR.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn cwt(claims: &[u8]) -> Vec<u8> {
    // The header {1: -8}.
    let [header, none, claims] =
        [&[0xa1, 1, 0x27][..], &[], claims].map(|part| Value::Bytes(part.to_vec()));
    let message = vec!["Signature1".into(), header.clone(), none, claims.clone()];
    let signature = PAIR.sign(&encoded(&Value::Array(message)));
    let signature = Value::Bytes(signature.as_ref().to_vec());
    let parts = vec![header, Value::Map(Vec::new()), claims, signature];
    encoded(&Value::Tag(18, Box::new(Value::Array(parts))))
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("memory");
    bytes
}
