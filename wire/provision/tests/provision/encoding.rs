//! Messages in other encodings, of other versions, with other fields.

use ciborium::value::Value;
use enarx_wire_cbor::DecodeError;
use enarx_wire_provision::*;
use serde::Serialize;

use crate::sample::*;

/// `message` after `change` to its map, keys sorted again.
fn remapped(message: &[u8], change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let mut value: Value = ciborium::from_reader(message).unwrap();
    change(value.as_map_mut().unwrap());
    enarx_wire_cbor::to_vec(&value).unwrap()
}

fn set(name: &'static str, value: Value) -> impl Fn(&mut Vec<(Value, Value)>) {
    move |fields| {
        fields.retain(|(key, _)| key.as_text() != Some(name));
        fields.push((name.into(), value.clone()));
    }
}

fn drop_field(name: &'static str) -> impl Fn(&mut Vec<(Value, Value)>) {
    move |fields| fields.retain(|(key, _)| key.as_text() != Some(name))
}

/// `offer` with `change` to the map of its claims.
fn with_claims_map(change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let mut offer: Offer = enarx_wire_cbor::from_slice(&offer(), MAX_OFFER_SIZE).unwrap();
    offer.claims = remapped(&offer.claims, change);
    enarx_wire_cbor::to_vec(&offer).unwrap()
}

fn refusal(offer: &[u8]) -> OfferError {
    challenge().answered(offer).err().unwrap()
}

fn opening(sealed: &[u8]) -> OpenError {
    answering_keep().open(sealed).err().unwrap()
}

#[test]
fn other_versions_are_named() {
    for version in [0, 2, u32::MAX] {
        let claims = with_claims(&offer(), |claims| claims.version = version);
        assert_eq!(refusal(&claims), OfferError::Version(version));
        let mut sealed = Sealed::decode(&seal(&offer(), Suite::XWing).0);
        sealed.version = version;
        assert_eq!(opening(&sealed.encode()), OpenError::Version(version));
    }
}

#[test]
fn unknown_fields_are_refused_and_named() {
    let extra = set("novelty", 1.into());
    let error = refusal(&remapped(&offer(), &extra));
    assert!(matches!(&error, OfferError::MalformedOffer(_)));
    assert!(error.to_string().contains("novelty"), "{error}");

    let error = refusal(&with_claims_map(&extra));
    assert!(matches!(&error, OfferError::MalformedClaims(_)));
    assert!(error.to_string().contains("novelty"), "{error}");

    let error = opening(&remapped(&seal(&offer(), Suite::X25519).0, &extra));
    assert!(error.to_string().contains("novelty"), "{error}");
}

#[test]
fn missing_fields_are_refused() {
    for field in ["claims", "evidence"] {
        let error = refusal(&remapped(&offer(), drop_field(field)));
        assert!(error.to_string().contains(field), "{error}");
    }
    for field in [
        "version",
        "platform",
        "evidence",
        "runtime",
        "memory_bytes",
        "target",
        "nonce",
        "keys",
    ] {
        let error = refusal(&with_claims_map(drop_field(field)));
        assert!(error.to_string().contains(field), "{error}");
    }
    let (sealed, _) = seal(&offer(), Suite::X25519);
    for field in ["version", "suite", "encapsulated", "ciphertext"] {
        let error = opening(&remapped(&sealed, drop_field(field)));
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn fields_of_another_type_or_size_are_refused() {
    for (field, value) in [
        ("version", Value::Text("1".into())),
        ("version", (-1).into()),
        ("nonce", Value::Bytes(vec![0; 31])),
        ("nonce", Value::Bytes(vec![0; 33])),
        ("runtime", Value::Bytes(vec![0; 32])),
        ("nonce", Value::Array(vec![0.into(); 32])),
        ("memory_bytes", Value::Float(1.0)),
        ("target", Value::Null),
        ("keys", Value::Map(vec![])),
    ] {
        let error = refusal(&with_claims_map(set(field, value.clone())));
        assert!(
            matches!(error, OfferError::MalformedClaims(_)),
            "{field} {value:?}: {error}"
        );
    }
}

#[test]
fn unknown_suites_are_refused() {
    let key = Value::Map(vec![
        ("suite".into(), "kyber".into()),
        ("public".into(), Value::Bytes(vec![0; 32])),
    ]);
    let error = refusal(&with_claims_map(set("keys", Value::Array(vec![key]))));
    assert!(matches!(&error, OfferError::MalformedClaims(_)));
    assert!(error.to_string().contains("kyber"), "{error}");
    let mut sealed = Sealed::decode(&seal(&offer(), Suite::XWing).0);
    sealed.suite = "X-Wing".into();
    assert!(matches!(
        opening(&sealed.encode()),
        OpenError::Malformed(DecodeError::Malformed(_))
    ));
}

/// `value` as CBOR with the fields in the order of their declaration.
fn unsorted(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn one_message_has_one_encoding() {
    // An offer's fields happen to be declared in order; its claims' are not.
    let mut decoded: Offer = enarx_wire_cbor::from_slice(&offer(), MAX_OFFER_SIZE).unwrap();
    let claims: Claims = enarx_wire_cbor::from_slice(&decoded.claims, MAX_OFFER_SIZE).unwrap();
    decoded.claims = unsorted(&claims);
    let error = refusal(&enarx_wire_cbor::to_vec(&decoded).unwrap());
    assert_eq!(
        error,
        OfferError::MalformedClaims(DecodeError::NotDeterministic)
    );

    let (sealed, _) = seal(&offer(), Suite::X25519);
    let reordered = unsorted(&Sealed::decode(&sealed));
    assert_ne!(reordered, sealed);
    let error = OpenError::Malformed(DecodeError::NotDeterministic);
    assert_eq!(opening(&reordered), error);
    assert_eq!(opening(&[sealed.as_slice(), &[0]].concat()), error);
    // A map of indefinite length: bf ... ff.
    let indefinite = [&[0xbf], &sealed[1..], &[0xff]].concat();
    assert_eq!(opening(&indefinite), error);
    // A tag before the map: d9 d9f7 says "this is CBOR".
    let tagged = [&[0xd9, 0xd9, 0xf7], sealed.as_slice()].concat();
    assert!(matches!(opening(&tagged), OpenError::Malformed(_)));
}

#[test]
fn messages_are_bounded() {
    let long = vec![0; MAX_OFFER_SIZE + 1];
    assert_eq!(
        refusal(&long),
        OfferError::MalformedOffer(DecodeError::TooLong {
            actual: long.len(),
            limit: MAX_OFFER_SIZE
        })
    );
    let long = vec![0; MAX_GRANT_SIZE + 1];
    assert_eq!(
        opening(&long),
        OpenError::Malformed(DecodeError::TooLong {
            actual: long.len(),
            limit: MAX_GRANT_SIZE
        })
    );
    for empty in [&b""[..], &[0xf6], &[0xa0], &[0x80], &[0xff]] {
        refusal(empty);
        opening(empty);
    }
}
