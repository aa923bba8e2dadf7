//! Arm CCA tokens of the tests' own making, of both drafts, with one thing wrong at a time.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{SHA256, SHA512, digest},
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use enarx_owner_evidence::{
    CoseError, FailureKind, Simulated, VerifiedEvidence,
    cca::{Error, PlatformKey, VerifiedToken, verify},
};

struct Keys {
    platform: EcdsaKeyPair,
    realm: EcdsaKeyPair,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let make = || EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    KEYS.get_or_init(|| Keys {
        platform: make(),
        realm: make(),
    })
}

fn point(key: &EcdsaKeyPair) -> &[u8] {
    key.public_key().as_ref()
}

type Claims = Vec<(i64, Value)>;

/// A token before it is signed.
struct Token {
    /// 399 or 907.
    tag: u64,
    platform: Claims,
    realm: Claims,
    /// Who signs the realm's part.
    realm_signer: &'static EcdsaKeyPair,
    /// `alg` of both parts.
    algorithm: i64,
}

impl Token {
    /// As before the draft: the realm's key is a bare point.
    fn early() -> Self {
        let key = point(&keys().realm).to_vec();
        Self::new(399, "http://arm.com/CCA-SSD/1.0.0", key, None)
    }

    /// As since the draft: the realm's key is a `COSE_Key`, and the realm has a profile.
    fn drafted() -> Self {
        let (x, y) = point(&keys().realm)[1..].split_at(48);
        let key = encode(&map(vec![
            (1, 2.into()),
            (-1, 2.into()),
            (-2, bytes(x)),
            (-3, bytes(y)),
        ]));
        let profile = Some("tag:arm.com,2023:realm#1.0.0");
        Self::new(907, "tag:arm.com,2023:cca_platform#1.0.0", key, profile)
    }

    fn new(tag: u64, profile: &str, key: Vec<u8>, realm_profile: Option<&str>) -> Self {
        let component = map(vec![(1, "BL".into()), (2, bytes(&[2; 32]))]);
        let platform = vec![
            (10, bytes(digest(&SHA256, &key).as_ref())),
            (256, bytes(&[1; 33])),
            (265, profile.into()),
            (2395, 0x3000.into()),
            (2396, bytes(&[3; 32])),
            (2399, Value::Array(vec![component])),
            (2401, bytes(&[4; 4])),
            (2402, "sha-256".into()),
        ];
        let mut realm = vec![
            (10, bytes(&[0xd4; 64])),
            (44235, bytes(&[5; 64])),
            (44236, "sha-256".into()),
            (44237, bytes(&key)),
            (44238, bytes(&[0x3e; 32])),
            (44239, Value::Array(vec![bytes(&[6; 32]); 4])),
            (44240, "sha-256".into()),
        ];
        if let Some(profile) = realm_profile {
            realm.push((265, profile.into()));
        }
        Self {
            tag,
            platform,
            realm,
            realm_signer: &keys().realm,
            algorithm: -35,
        }
    }

    fn issue(&self) -> Vec<u8> {
        let parts = [
            (44234, &self.platform, &keys().platform),
            (44241, &self.realm, self.realm_signer),
        ];
        let parts = parts.map(|(number, claims, signer)| {
            let token = sign(&encode(&map(claims.clone())), self.algorithm, signer);
            let part = match self.tag {
                399 => bytes(&token),
                _ => Value::Array(vec!["application/eat+cwt".into(), bytes(&token)]),
            };
            (number, part)
        });
        encode(&Value::Tag(self.tag, Box::new(map(parts.to_vec()))))
    }

    fn verify(&self) -> Result<VerifiedToken<Simulated>, Error> {
        verify(&self.issue(), &[platform_key(&keys().platform)])
    }
}

/// Tokens of both drafts in which nothing is wrong, each with the key that it is signed with.
pub fn files() -> [(&'static str, [Vec<u8>; 2]); 2] {
    let key = || jwk(&keys().platform).into_bytes();
    [
        ("cca-early", [Token::early().issue(), key()]),
        ("cca-drafted", [Token::drafted().issue(), key()]),
    ]
}

fn platform_key(key: &EcdsaKeyPair) -> PlatformKey<Simulated> {
    PlatformKey::read(jwk(key).as_bytes()).unwrap().remove(0)
}

fn jwk(key: &EcdsaKeyPair) -> String {
    let [x, y] = [&point(key)[1..49], &point(key)[49..]].map(|half| URL_SAFE_NO_PAD.encode(half));
    format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{y}"}}"#)
}

fn sign(payload: &[u8], algorithm: i64, signer: &EcdsaKeyPair) -> Vec<u8> {
    let protected = encode(&map(vec![(1, algorithm.into())]));
    let signed = encode(&Value::Array(vec![
        "Signature1".into(),
        bytes(&protected),
        bytes(&[]),
        bytes(payload),
    ]));
    let signature = signer.sign(&SystemRandom::new(), &signed).unwrap();
    encode(&Value::Tag(
        18,
        Box::new(Value::Array(vec![
            bytes(&protected),
            map(Vec::new()),
            bytes(payload),
            bytes(signature.as_ref()),
        ])),
    ))
}

fn map(entries: Claims) -> Value {
    let entries = entries.into_iter();
    Value::Map(entries.map(|(key, value)| (key.into(), value)).collect())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn encode(value: &Value) -> Vec<u8> {
    let mut encoded = Vec::new();
    ciborium::into_writer(value, &mut encoded).unwrap();
    encoded
}

fn set(claims: &mut Claims, key: i64, value: impl Into<Value>) {
    let found = claims.iter_mut().find(|(one, _)| *one == key).unwrap();
    found.1 = value.into();
}

/// The error of a token in which `sin` was committed, of each draft.
fn sin(sin: impl Fn(&mut Token)) -> Error {
    let [early, drafted] = [Token::early(), Token::drafted()].map(|mut token| {
        sin(&mut token);
        token.verify().unwrap_err()
    });
    assert_eq!(early, drafted);
    early
}

#[test]
fn nothing_is_wrong() {
    for token in [Token::early(), Token::drafted()] {
        let verified = token.verify().unwrap();
        assert_eq!(verified.realm().challenge, [0xd4; 64]);
        assert_eq!(verified.anchor(), platform_key(&keys().platform).digest());
        let evidence = VerifiedEvidence::from(verified);
        let summary = evidence.summary();
        assert_eq!(summary.measurement, [0x3e; 32]);
        assert_eq!(summary.machine.as_deref(), Some(&[1; 33][..]));
        assert!(!summary.debug);
    }
}

#[test]
fn version_3_of_the_draft_has_other_profiles() {
    let mut token = Token::drafted();
    set(
        &mut token.platform,
        265,
        "tag:arm.com,2024:cca_platform#2.0.0",
    );
    set(&mut token.realm, 265, "tag:arm.com,2024:realm#2.0.0");
    token.platform.push((2394, 1.into()));
    token.realm.push((44243, "private".into()));
    assert!(token.verify().is_ok());
    set(&mut token.realm, 265, "tag:arm.com,2024:realm#3.0.0");
    assert!(token.verify().is_err());
    // The point of a key, and a key, are told apart whatever the profile says.
    let mut early = Token::early();
    early
        .realm
        .push((265, "tag:arm.com,2023:realm#1.0.0".into()));
    assert!(early.verify().is_ok());
}

#[test]
fn platform_keys_come_in_several_forms() {
    let key = platform_key(&keys().platform);
    let info = crate::mint::p384_key(point(&keys().platform));
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD
            .encode(&info)
            .as_bytes()
            .chunks(64)
            .map(|line| str::from_utf8(line).unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    );
    let [x, y] = [1..49, 49..97].map(|half| URL_SAFE_NO_PAD.encode(&point(&keys().platform)[half]));
    let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-384","x":"{x}","y":"{y}"}}]}}"#);
    for file in [info.as_slice(), pem.as_bytes(), set.as_bytes()] {
        let keys: Vec<PlatformKey<Simulated>> = PlatformKey::read(file).unwrap();
        assert_eq!(keys[0].digest(), key.digest());
        for length in 0..file.len().saturating_sub(2) {
            let cut = PlatformKey::<Simulated>::read(&file[..length]);
            assert!(cut.is_err(), "{length}");
        }
    }
    let mut off_the_curve = info.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    let other_curve = crate::mint::elliptic_key("1.3.132.0.10", point(&keys().platform));
    let rsa = crate::mint::rsa_key(b"");
    for file in [off_the_curve, other_curve, rsa, b"{\"keys\":[]}".to_vec()] {
        assert!(PlatformKey::<Simulated>::read(&file).is_err());
    }
    let certificate = pem.replace("PUBLIC KEY", "CERTIFICATE");
    assert!(PlatformKey::<Simulated>::read(certificate.as_bytes()).is_err());
}

#[test]
fn the_platforms_key_must_be_a_trusted_one() {
    let token = Token::drafted().issue();
    let error = verify(&token, &[platform_key(&keys().realm)]).unwrap_err();
    assert_eq!(error, Error::Platform(CoseError::Signature));
    assert_eq!(error.kind(), FailureKind::NotGenuine);
    // Among several the right one is found.
    let several = [platform_key(&keys().realm), platform_key(&keys().platform)];
    assert!(verify(&token, &several).is_ok());
}

#[test]
fn the_realms_key_must_be_bound_by_the_platform() {
    let error = sin(|token| set(&mut token.platform, 10, bytes(&[0; 32])));
    assert_eq!(error, Error::Binding);
    assert_eq!(error.kind(), FailureKind::NotGenuine);
    // The realm's part of another token, with a key of its own.
    let mut token = Token::early();
    set(&mut token.realm, 44237, bytes(point(&keys().platform)));
    token.realm_signer = &keys().platform;
    assert_eq!(token.verify().unwrap_err(), Error::Binding);
    // The right key is bound, and another one signs.
    let error = sin(|token| token.realm_signer = &keys().platform);
    assert_eq!(error, Error::Realm(CoseError::Signature));
    // The hash is the one that the realm's part names.
    let error = sin(|token| set(&mut token.realm, 44240, "sha-512"));
    assert_eq!(error, Error::Binding);
    for mut token in [Token::early(), Token::drafted()] {
        let (_, key) = token.realm.iter().find(|(key, _)| *key == 44237).unwrap();
        let hash = digest(&SHA512, key.as_bytes().unwrap());
        set(&mut token.platform, 10, bytes(hash.as_ref()));
        set(&mut token.realm, 44240, "sha-512");
        assert!(token.verify().is_ok());
    }
    let error = sin(|token| set(&mut token.realm, 44240, "md5"));
    assert_eq!(error.kind(), FailureKind::Malformed);
}

#[test]
fn the_platforms_state_counts() {
    for (lifecycle, debug) in [
        (0x3000, false),
        (0x30ff, false),
        (0x4000, true),
        (0x5001, true),
    ] {
        let mut token = Token::drafted();
        set(&mut token.platform, 2395, lifecycle);
        let evidence = VerifiedEvidence::from(token.verify().unwrap());
        assert_eq!(evidence.summary().debug, debug, "{lifecycle:#x}");
    }
    for lifecycle in [0x0000, 0x1000, 0x2000, 0x6000] {
        let error = sin(|token| set(&mut token.platform, 2395, lifecycle));
        assert_eq!(error, Error::Lifecycle(u16::try_from(lifecycle).unwrap()));
        assert_eq!(error.kind(), FailureKind::NotGenuine);
    }
}

#[test]
fn every_claim_is_there_and_as_specified() {
    let claims = |token: &mut Token, platform| match platform {
        true => std::mem::take(&mut token.platform),
        false => std::mem::take(&mut token.realm),
    };
    for platform in [true, false] {
        let all = claims(&mut Token::early(), platform);
        for (key, _) in &all {
            for wrong in [
                None,
                Some(Value::Null),
                Some(bytes(&[1; 7])),
                Some(7.into()),
            ] {
                // Any bytes are a configuration.
                if *key == 2401 && wrong.as_ref().is_some_and(Value::is_bytes) {
                    continue;
                }
                let mut token = Token::early();
                let part = match platform {
                    true => &mut token.platform,
                    false => &mut token.realm,
                };
                part.retain(|(one, _)| one != key);
                part.extend(wrong.clone().map(|wrong| (*key, wrong)));
                let error = token.verify().unwrap_err();
                // A number can be a state, and bytes can be a key: of neither kind.
                assert!(
                    matches!(
                        error,
                        Error::Claim { .. } | Error::Lifecycle(7) | Error::Binding
                    ),
                    "{key} {wrong:?}: {error}"
                );
            }
        }
    }
    let error = sin(|token| set(&mut token.platform, 265, "http://arm.com/psa/2.0.0"));
    assert_eq!(error.kind(), FailureKind::Malformed);
    let mut token = Token::drafted();
    set(&mut token.realm, 265, "tag:arm.com,2023:realm#2.0.0");
    assert!(matches!(token.verify(), Err(Error::Claim { .. })));
    let error = sin(|token| token.realm.push((10, bytes(&[1; 64]))));
    assert_eq!(error, Error::Realm(CoseError::DuplicateKey));
}

#[test]
fn the_drafts_key_is_a_point_of_its_curve() {
    let (x, y) = point(&keys().realm)[1..].split_at(48);
    let key = |kind: i64, curve: i64, y: &[u8]| {
        encode(&map(vec![
            (1, kind.into()),
            (-1, curve.into()),
            (-2, bytes(x)),
            (-3, bytes(y)),
        ]))
    };
    for wrong in [
        key(1, 2, y),
        key(2, 1, y),
        key(2, 9, y),
        key(2, 2, &y[1..]),
        vec![0xf6],
    ] {
        let mut token = Token::drafted();
        set(
            &mut token.platform,
            10,
            bytes(digest(&SHA256, &wrong).as_ref()),
        );
        set(&mut token.realm, 44237, bytes(&wrong));
        assert!(matches!(token.verify(), Err(Error::Claim { .. })));
    }
    // On no curve at all, which verification of the signature finds.
    let mut off = y.to_vec();
    off[47] ^= 1;
    let off = key(2, 2, &off);
    let mut token = Token::drafted();
    set(
        &mut token.platform,
        10,
        bytes(digest(&SHA256, &off).as_ref()),
    );
    set(&mut token.realm, 44237, bytes(&off));
    assert_eq!(
        token.verify().unwrap_err(),
        Error::Realm(CoseError::Signature)
    );
}

#[test]
fn the_algorithm_goes_with_the_key() {
    assert_eq!(
        sin(|token| token.algorithm = -7),
        Error::Platform(CoseError::Curve)
    );
    // HMAC with SHA-256, which would take a public key for a secret.
    assert_eq!(
        sin(|token| token.algorithm = 5),
        Error::Platform(CoseError::Algorithm)
    );
}

#[test]
fn the_collection_is_one() {
    let issued = Token::drafted().issue();
    for end in 0..issued.len() {
        let error = verify(&issued[..end], &[platform_key(&keys().platform)]).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Malformed);
    }
    let error = sin(|token| token.tag = 400);
    assert!(matches!(error, Error::Collection(_)));
    // Parts in the form of the other draft.
    let mut mixed = issued;
    mixed[1..3].copy_from_slice(&399_u16.to_be_bytes());
    let error = verify(&mixed, &[platform_key(&keys().platform)]).unwrap_err();
    assert!(matches!(error, Error::Collection(_)));
}

#[test]
fn a_map_with_very_many_keys_is_refused_at_once() {
    let many = (1000..9000).map(|key| (key, Value::Null));
    let error = sin(|token| token.platform.extend(many.clone()));
    assert_eq!(error, Error::Platform(CoseError::Malformed));
}
