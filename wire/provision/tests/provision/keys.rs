//! Public keys that are none, and plaintexts that are no grants.

use enarx_wire_provision::*;
use hpke::{
    Deserializable, Kem, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha384,
    kem::X25519HkdfSha256, setup_sender_with_rng,
};

use crate::{sample::*, vectors::transcript_hash};

/// Every point of small order on Curve25519, in its shortest and longer encodings:
/// 0, 1, two of order 8, p-1, p, p+1 (little-endian).
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn seal_to(suite: Suite, public: Vec<u8>) -> Result<(), SealError> {
    let offer = with_claims(&offer(), |claims| {
        claims.keys = vec![KemKey { suite, public }]
    });
    challenge()
        .answered(&offer)
        .unwrap()
        .seal(None, &grant(), &mut TestRandom::new("seal"))
        .map(drop)
}

fn public_key(suite: Suite) -> Vec<u8> {
    let owner = challenge().answered(&offer()).unwrap();
    let key = owner.claims().keys.iter().find(|key| key.suite == suite);
    key.unwrap().public.clone()
}

#[test]
fn points_of_low_order_are_refused() {
    for point in LOW_ORDER {
        let point = hex::decode(point).unwrap();
        let sealed = seal_to(Suite::X25519, point.clone());
        assert!(matches!(sealed, Err(SealError::BadKey)), "{point:02x?}");

        let mut sealed = Sealed::decode(&seal(&offer(), Suite::X25519).0);
        sealed.encapsulated = point;
        let opened = answering_keep().open(&sealed.encode());
        assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
    }
}

#[test]
fn keys_of_another_size_are_refused() {
    for suite in Suite::ALL {
        let good = public_key(suite);
        seal_to(suite, good.clone()).unwrap();
        let mut longer = good.clone();
        longer.push(0);
        for bad in [vec![], good[1..].to_vec(), longer] {
            assert!(matches!(seal_to(suite, bad), Err(SealError::BadKey)));
        }
        let sealed = Sealed::decode(&seal(&offer(), suite).0);
        for size in [0, 31, 33, 1119, 1121] {
            let mut changed = sealed.clone();
            changed.encapsulated.resize(size, 0);
            let opened = answering_keep().open(&changed.encode());
            assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
        }
    }
}

#[test]
fn a_lattice_key_that_is_not_reduced_is_refused() {
    // FIPS 203 section 7.2: coefficients, 12 bits each, must be below 3329.
    let mut public = public_key(Suite::XWing);
    (public[0], public[1]) = (0xff, public[1] | 0x0f);
    let sealed = seal_to(Suite::XWing, public);
    assert!(matches!(sealed, Err(SealError::BadKey)));
}

#[test]
fn a_suite_that_is_not_offered_is_named() {
    let only = with_claims(&offer(), |claims| {
        claims.keys.retain(|key| key.suite == Suite::X25519);
    });
    let owner = challenge().answered(&only).unwrap();
    let sealed = owner.seal(Some(Suite::XWing), &grant(), &mut TestRandom::new("seal"));
    assert!(matches!(sealed, Err(SealError::NotOffered("x-wing"))));
}

#[test]
fn there_is_one_key_for_a_suite() {
    let none = with_claims(&offer(), |claims| claims.keys.clear());
    assert_eq!(challenge().answered(&none).err(), Some(OfferError::NoKey));
    let twice = with_claims(&offer(), |claims| {
        let first = claims.keys[0].clone();
        claims.keys.push(first);
    });
    assert_eq!(
        challenge().answered(&twice).err(),
        Some(OfferError::RepeatedKey("x-wing"))
    );
}

/// Seals any plaintext to the Keep, as an owner with other software could.
fn sealed_plaintext(plaintext: &[u8]) -> Vec<u8> {
    let public = public_key(Suite::X25519);
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let info = transcript_hash(&offer(), Suite::X25519);
    let (encapsulated, mut context) =
        setup_sender_with_rng::<AesGcm256, HkdfSha384, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            &info,
            &mut TestRandom::new("seal"),
        )
        .unwrap();
    Sealed {
        version: VERSION,
        suite: Suite::X25519.as_str().into(),
        encapsulated: encapsulated.to_bytes().to_vec(),
        ciphertext: context.seal(plaintext, b"").unwrap(),
    }
    .encode()
}

#[test]
fn a_seal_around_something_else_is_refused() {
    use ciborium::value::Value;

    let with_secret = |version: u32, key: usize, digest: usize, secret: Value| {
        Value::Map(vec![
            ("version".into(), version.into()),
            ("time_floor".into(), 0.into()),
            ("content_key".into(), Value::Bytes(vec![1; key])),
            ("manifest_digest".into(), Value::Bytes(vec![2; digest])),
            ("application_secret".into(), secret),
        ])
    };
    let fields = |version, key, digest| with_secret(version, key, digest, Value::Null);
    let secret = |secret: Value| with_secret(1, 32, 48, secret);
    let encode = |value: &Value| sealed_plaintext(&enarx_wire_cbor::to_vec(value).unwrap());
    for good in [fields(1, 32, 48), secret(Value::Bytes(vec![3; 32]))] {
        answering_keep().open(&encode(&good)).unwrap();
    }

    let mut extra = fields(1, 32, 48);
    extra.as_map_mut().unwrap().push(("x".into(), Value::Null));
    for bad in [
        fields(2, 32, 48),
        fields(1, 31, 48),
        fields(1, 33, 48),
        fields(1, 32, 32),
        secret(Value::Bytes(vec![3; 31])),
        secret(Value::Bytes(vec![3; 33])),
        secret(Value::Bytes(vec![])),
        secret(Value::Array(vec![3.into(); 32])),
        secret(false.into()),
        extra,
        Value::Null,
    ] {
        let error = answering_keep().open(&encode(&bad)).err();
        assert!(matches!(error, Some(OpenError::Malformed(_))), "{error:?}");
    }
    for field in 0..5 {
        let mut lacking = fields(1, 32, 48);
        let (name, _) = lacking.as_map_mut().unwrap().remove(field);
        let error = answering_keep().open(&encode(&lacking)).err().unwrap();
        let missing = format!("missing field `{}`", name.as_text().unwrap());
        assert!(error.to_string().contains(&missing), "{error}");
    }
    for bad in [&[][..], &[0; 2000]] {
        let error = answering_keep().open(&sealed_plaintext(bad)).err();
        assert!(matches!(error, Some(OpenError::Malformed(_))), "{error:?}");
    }
}
