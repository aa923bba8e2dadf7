//! Manifests of reference values: of others, of ours, and refused.

use ciborium::Value;
use enarx_owner_appraisal::{
    CborError, CoseError,
    corim::{
        Digest, DigestAlgorithm, Environment, Error, Flags, Identifier, MAX_BYTES, MAX_VALUES,
        Manifest, MeasurementKey, Profile, RawValue, ReferenceValue, SecurityVersion, Validity,
    },
};
use enarx_owner_evidence::UnixTime;

use crate::ear::{Minter, encoded, keys};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn map<const N: usize>(entries: [(i64, Value); N]) -> Value {
    let entries = entries.into_iter();
    Value::Map(entries.map(|(key, value)| (key.into(), value)).collect())
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::Array(items.to_vec())
}

fn tag(number: u64, value: Value) -> Value {
    Value::Tag(number, Box::new(value))
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// The environment of the draft's example of a signed manifest.
fn environment() -> Value {
    let class = map([
        (0, tag(37, bytes(&[0x67; 16]))),
        (1, "ACME Inc.".into()),
        (2, "ACME RoadRunner".into()),
        (3, 1.into()),
    ]);
    map([(0, class)])
}

/// The measurement of that example.
fn measurement() -> Value {
    let version = map([(0, "1.0.0".into()), (1, 16384.into())]);
    let digests = list([list([1.into(), bytes(&[0x44; 32])])]);
    map([(1, map([(0, version), (2, digests)]))])
}

fn module(triples: Value) -> Value {
    let entity = map([(0, "ACME Inc.".into()), (2, list([0.into()]))]);
    let module = map([
        (1, map([(0, bytes(&[0x3f; 16]))])),
        (2, list([entity])),
        (4, triples),
    ]);
    tag(506, Value::Bytes(encoded(&module)))
}

fn triples(environment: Value, measurements: Value) -> Value {
    map([(0, list([list([environment, measurements])]))])
}

fn unsigned(tags: Value) -> Vec<u8> {
    encoded(&tag(501, map([(0, bytes(&[0x28; 16])), (1, tags)])))
}

fn read(environment: Value, measurement: Value) -> Result<Manifest, Error> {
    let triples = triples(environment, list([measurement]));
    Manifest::from_unsigned(&unsigned(list([module(triples)])), NOW)
}

/// A measurement with these values.
fn values<const N: usize>(values: [(i64, Value); N]) -> Result<Manifest, Error> {
    read(environment(), map([(1, map(values))]))
}

fn expected() -> ReferenceValue {
    ReferenceValue {
        environment: Environment {
            class_id: Some(Identifier::Uuid([0x67; 16])),
            vendor: Some("ACME Inc.".to_owned()),
            model: Some("ACME RoadRunner".to_owned()),
            layer: Some(1),
            ..Environment::default()
        },
        version: Some("1.0.0".to_owned()),
        digests: vec![Digest {
            algorithm: DigestAlgorithm::Sha256,
            bytes: vec![0x44; 32],
        }],
        ..ReferenceValue::default()
    }
}

#[test]
fn the_drafts_example_is_read() {
    let manifest = read(environment(), measurement()).unwrap();
    assert_eq!(manifest.id, "28".repeat(16));
    assert_eq!(manifest.values, [expected()]);
    assert_eq!(manifest.skipped, 0);
}

/// A manifest that uses everything there is.
fn full() -> Manifest {
    let named = |identifier: fn() -> Identifier| ReferenceValue {
        environment: Environment {
            class_id: Some(identifier()),
            index: Some(7),
            instance: Some(Identifier::Ueid(vec![1; 33])),
            group: Some(Identifier::Uuid([9; 16])),
            ..Environment::default()
        },
        ..expected()
    };
    let keep = ReferenceValue::of_keep("snp", Digest::of_length(&[5; 48]).unwrap(), "4 GiB");
    let values = vec![
        keep,
        ReferenceValue {
            key: Some(MeasurementKey::Number(4)),
            security_version: Some(SecurityVersion::Minimum(8)),
            ..named(|| Identifier::Oid(vec![0x2a, 3]))
        },
        ReferenceValue {
            key: Some(MeasurementKey::Uuid([4; 16])),
            security_version: Some(SecurityVersion::Exact(8)),
            raw_value: Some(RawValue {
                bytes: vec![1, 2],
                mask: Some(vec![0xff, 0]),
            }),
            ..named(|| Identifier::Bytes(vec![1]))
        },
        ReferenceValue {
            key: Some(MeasurementKey::Oid(vec![0x2a])),
            name: Some("firmware".to_owned()),
            digests: Vec::new(),
            flags: Flags {
                debug: Some(false),
                secure: Some(true),
                ..Flags::default()
            },
            raw_value: Some(RawValue {
                bytes: vec![1, 2],
                mask: None,
            }),
            ..named(|| Identifier::Uuid([2; 16]))
        },
    ];
    Manifest {
        profile: Some(Profile::Uri("https://example.com/profile".to_owned())),
        validity: Validity {
            not_before: Some(NOW),
            not_after: Some(NOW),
        },
        ..Manifest::new("example", values)
    }
}

#[test]
fn everything_survives_writing_and_reading() {
    let manifest = full();
    let written = manifest.to_unsigned().unwrap();
    assert_eq!(Manifest::from_unsigned(&written, NOW), Ok(manifest.clone()));
    let wrapped: Value = ciborium::from_reader(&*written).unwrap();
    let wrapped = encoded(&tag(500, wrapped));
    assert_eq!(Manifest::from_unsigned(&wrapped, NOW), Ok(manifest.clone()));
    for key in keys() {
        let signed = manifest.to_signed("ACME", &key).unwrap();
        let public = key.verifying_key();
        assert_eq!(
            Manifest::from_signed(&signed, &public, NOW),
            Ok(manifest.clone())
        );
        let value: Value = ciborium::from_reader(&*signed).unwrap();
        let early = encoded(&tag(500, tag(502, value)));
        assert_eq!(
            Manifest::from_signed(&early, &public, NOW),
            Ok(manifest.clone())
        );
    }
    let oid = Manifest {
        profile: Some(Profile::Oid(vec![0x2a, 3])),
        ..manifest
    };
    let written = oid.to_unsigned().unwrap();
    assert_eq!(Manifest::from_unsigned(&written, NOW), Ok(oid));
}

#[test]
fn only_bare_digests_are_launch_measurements() {
    let digest = Digest::of_length(&[7; 48]).unwrap();
    let keep = ReferenceValue::of_keep("snp", digest.clone(), "an image");
    let measured = |value: ReferenceValue| {
        let manifest = Manifest::new("id", vec![value]);
        let bytes = manifest.to_unsigned().unwrap();
        assert!(!Manifest::is_signed(&bytes).unwrap());
        manifest.launch_measurements().count()
    };
    assert_eq!(measured(keep.clone()), 1);
    let nameless = ReferenceValue {
        key: None,
        ..keep.clone()
    };
    assert_eq!(measured(nameless), 1);
    for conditional in [
        ReferenceValue {
            version: Some("2".to_owned()),
            ..keep.clone()
        },
        ReferenceValue {
            security_version: Some(SecurityVersion::Minimum(2)),
            ..keep.clone()
        },
        ReferenceValue {
            flags: Flags {
                debug: Some(false),
                ..Flags::default()
            },
            ..keep.clone()
        },
        ReferenceValue {
            raw_value: Some(RawValue {
                bytes: vec![1],
                mask: None,
            }),
            ..keep.clone()
        },
        ReferenceValue {
            key: Some(MeasurementKey::Number(1)),
            ..keep.clone()
        },
        ReferenceValue {
            environment: Environment {
                instance: Some(Identifier::Ueid(vec![1; 7])),
                ..keep.environment.clone()
            },
            ..keep.clone()
        },
        ReferenceValue {
            environment: Environment {
                group: Some(Identifier::Bytes(vec![1])),
                ..keep.environment.clone()
            },
            ..keep
        },
    ] {
        assert_eq!(measured(conditional), 0);
    }
}

#[test]
fn what_is_written_is_deterministic() {
    let digest = Digest::of_length(&[0xaa; 32]).unwrap();
    let manifest = Manifest::new("id", vec![ReferenceValue::of_keep("snp", digest, "d")]);
    let module = "a201a1006269 6404a1008182a100a20165456e617278026b4b656570206f6e20736e70\
        81a200726c61756e63682d6d6561737572656d656e7401a2028182015820"
        .replace(' ', "")
        + &"aa".repeat(32)
        + "0b6164";
    let expected = format!(
        "d901f5a2006269640181d901fa58{:02x}{module}",
        module.len() / 2
    );
    assert_eq!(hex::encode(manifest.to_unsigned().unwrap()), expected);
}

#[test]
fn a_manifest_that_could_not_be_read_is_not_written() {
    let unwritten = |value: ReferenceValue| Manifest::new("id", vec![value]).to_unsigned();
    let error = Manifest::new("id", Vec::new()).to_unsigned().unwrap_err();
    assert_eq!(error, Error::Missing("reference values"));
    let nowhere = ReferenceValue {
        environment: Environment::default(),
        ..expected()
    };
    assert_eq!(unwritten(nowhere), Err(Error::Type("environment")));
    let nothing = ReferenceValue {
        version: None,
        digests: Vec::new(),
        ..expected()
    };
    assert_eq!(unwritten(nothing), Err(Error::Type("measurement's values")));
    let bytes = vec![0; 31];
    let algorithm = DigestAlgorithm::Sha256;
    let short = ReferenceValue {
        digests: vec![Digest { algorithm, bytes }],
        ..expected()
    };
    let wrong = Error::DigestLength {
        algorithm: "sha-256",
        length: 31,
    };
    assert_eq!(unwritten(short), Err(wrong));
    let mut endless = full();
    endless.validity.not_after = None;
    assert_eq!(
        endless.to_unsigned(),
        Err(Error::Missing("the end of its validity"))
    );
    assert_eq!(Digest::of_length(&[0; 20]), None);
}

#[test]
fn a_condition_that_is_not_understood_skips_the_measurement() {
    let digests = || list([list([1.into(), bytes(&[0x44; 32])])]);
    let skipped = [
        read(
            environment(),
            map([
                (1, map([(2, digests())])),
                (2, list([tag(554, "key".into())])),
            ]),
        ),
        read(
            environment(),
            map([(1, map([(2, digests())])), (-9, 1.into())]),
        ),
        read(
            map([(0, map([(1, "v".into())])), (7, 1.into())]),
            measurement(),
        ),
        read(
            map([(0, map([(1, "v".into()), (9, 1.into())]))]),
            measurement(),
        ),
        read(map([(1, tag(557, list([])))]), measurement()),
        read(
            environment(),
            map([(0, tag(999, 1.into())), (1, map([(2, digests())]))]),
        ),
        values([(2, digests()), (6, bytes(&[0; 6]))]),
        values([(2, digests()), (-1, 0.into())]),
        values([(1, tag(564, list([1.into(), 2.into()])))]),
        values([(3, map([(8, true.into())]))]),
        values([(4, tag(999, bytes(&[1])))]),
        values([(2, list([list([99.into(), bytes(&[1])])]))]),
    ];
    for (index, manifest) in skipped.into_iter().enumerate() {
        let manifest = manifest.unwrap();
        assert_eq!((manifest.values.len(), manifest.skipped), (0, 1), "{index}");
    }
    let both = list([
        list(["sha3-512".into(), bytes(&[1])]),
        list(["sha-384".into(), bytes(&[3; 48])]),
    ]);
    let manifest = values([(2, both)]).unwrap();
    assert_eq!(
        manifest.values[0].digests,
        [Digest::of_length(&[3; 48]).unwrap()]
    );
}

#[test]
fn other_tags_and_triples_are_ignored() {
    let endorsed = map([(1, list([]))]);
    let tags = list([
        tag(505, bytes(&[1])),
        module(endorsed),
        module(triples(environment(), list([measurement()]))),
    ]);
    let manifest = Manifest::from_unsigned(&unsigned(tags), NOW).unwrap();
    assert_eq!(manifest.values, [expected()]);
}

#[test]
fn wrong_types_are_refused() {
    let wrong = [
        values([]),
        values([(0, "1.0".into())]),
        values([(0, map([(1, 1.into())]))]),
        values([(1, "1".into())]),
        values([(1, tag(552, (-1).into()))]),
        values([(1, tag(553, "1".into()))]),
        values([(2, list([]))]),
        values([(2, bytes(&[0; 32]))]),
        values([(2, list([list([1.into()])]))]),
        values([(2, list([list([1.into(), "text".into()])]))]),
        values([(2, list([list([Value::Null, bytes(&[0; 32])])]))]),
        values([(2, list([list([1.into(), bytes(&[0; 48])])]))]),
        values([(2, list([list([7.into(), bytes(&[0; 32])])]))]),
        values([(3, map([(0, 1.into())]))]),
        values([(4, bytes(&[1]))]),
        values([(5, bytes(&[1]))]),
        values([(4, tag(563, list([bytes(&[1]), bytes(&[1, 2])])))]),
        values([(11, 1.into())]),
        read(environment(), map([(0, "key".into())])),
        read(
            environment(),
            map([(0, (-1).into()), (1, map([(11, "n".into())]))]),
        ),
        read(map([]), measurement()),
        read(map([(0, map([]))]), measurement()),
        read(map([(0, map([(0, bytes(&[1]))]))]), measurement()),
        read(
            map([(0, map([(0, tag(37, bytes(&[1; 15])))]))]),
            measurement(),
        ),
        read(map([(1, tag(550, bytes(&[1; 34])))]), measurement()),
        read(map([(0, map([(1, 1.into())]))]), measurement()),
    ];
    for (index, manifest) in wrong.into_iter().enumerate() {
        let error = manifest.expect_err(&index.to_string());
        let kind = matches!(
            error,
            Error::Type(_) | Error::Missing(_) | Error::DigestLength { .. }
        );
        assert!(kind, "{index}: {error}");
    }
    let good = || module(triples(environment(), list([measurement()])));
    let refused = |value: Value| Manifest::from_unsigned(&encoded(&value), NOW).unwrap_err();
    assert_eq!(refused(map([])), Error::Tag("an unsigned manifest"));
    assert_eq!(
        refused(tag(502, map([]))),
        Error::Tag("an unsigned manifest")
    );
    assert_eq!(
        refused(tag(501, map([(0, "id".into())]))),
        Error::Missing("tags")
    );
    let tags = |tags| refused(tag(501, map([(0, "id".into()), (1, tags)])));
    assert_eq!(tags(list([])), Error::Type("tags"));
    assert_eq!(tags(list([map([])])), Error::Type("tag"));
    assert_eq!(tags(list([tag(506, map([]))])), Error::Type("CoMID tag"));
    assert_eq!(
        tags(list([tag(506, bytes(&[]))])),
        Error::Cbor(CborError::Malformed)
    );
    let no_id = tag(501, map([(1, list([good()]))]));
    assert_eq!(refused(no_id), Error::Missing("an identity"));
    let no_triples = encoded(&map([(1, map([(0, "id".into())]))]));
    assert_eq!(
        tags(list([tag(506, bytes(&no_triples))])),
        Error::Missing("a CoMID's triples")
    );
    let profiles = map([
        (0, "id".into()),
        (1, list([good()])),
        (3, list(["a".into(), "b".into()])),
    ]);
    assert_eq!(refused(tag(501, profiles)), Error::Type("profile"));
}

#[test]
fn a_key_twice_is_refused() {
    let digest = |byte| list([list([1.into(), bytes(&[byte; 32])])]);
    assert_eq!(
        values([(2, digest(1)), (2, digest(2))]),
        Err(Error::Cbor(CborError::DuplicateKey))
    );
    // The same number in a longer encoding is the same key.
    let twice = [
        0xd9, 0x01, 0xf5, 0xa2, 0x00, 0x61, b'a', 0x18, 0x00, 0x61, b'b',
    ];
    let error = Manifest::from_unsigned(&twice, NOW).unwrap_err();
    assert_eq!(error, Error::Cbor(CborError::DuplicateKey));
}

#[test]
fn sizes_are_bounded() {
    let error = Manifest::from_unsigned(&vec![0; MAX_BYTES + 1], NOW).unwrap_err();
    let (actual, limit) = (MAX_BYTES + 1, MAX_BYTES);
    assert_eq!(error, Error::Cbor(CborError::TooLarge { actual, limit }));
    let deep = [&[0xd9, 0x01, 0xf5][..], &[0x81; 100_000], &[0]].concat();
    let error = Manifest::from_unsigned(&deep, NOW).unwrap_err();
    assert_eq!(error, Error::Cbor(CborError::Malformed));
    let huge = [
        0xd9, 0x01, 0xf5, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    let error = Manifest::from_unsigned(&huge, NOW).unwrap_err();
    assert_eq!(error, Error::Cbor(CborError::Malformed));
    let many = Value::Array(vec![map([(1, map([(11, "n".into())]))]); MAX_VALUES + 1]);
    let many = unsigned(list([module(triples(environment(), many))]));
    assert_eq!(Manifest::from_unsigned(&many, NOW), Err(Error::TooMany));
    let tags = Value::Array(vec![tag(505, bytes(&[])); 257]);
    assert_eq!(
        Manifest::from_unsigned(&unsigned(tags), NOW),
        Err(Error::TooMany)
    );
}

#[test]
fn a_manifest_holds_in_its_time_only() {
    let written = full().to_unsigned().unwrap();
    let [before, after] = [NOW.0 - 1, NOW.0 + 1].map(UnixTime);
    assert_eq!(
        Manifest::from_unsigned(&written, before),
        Err(Error::NotYetValid(NOW))
    );
    assert_eq!(
        Manifest::from_unsigned(&written, after),
        Err(Error::Expired(NOW))
    );
}

#[test]
fn the_header_must_name_content_and_signer() {
    let minter = Minter::new();
    let payload = unsigned(list([module(triples(
        environment(),
        list([measurement()]),
    ))]));
    let read = |content: &str, extra: &[(i64, Value)]| {
        let mut header = vec![(1.into(), (-7).into()), (3.into(), content.into())];
        header.extend(
            extra
                .iter()
                .map(|(key, value)| ((*key).into(), value.clone())),
        );
        let signed = minter.cose(&encoded(&Value::Map(header)), &payload);
        Manifest::from_signed(&signed, &minter.1, NOW).map(|manifest| manifest.values)
    };
    let meta = |validity: Option<Value>| {
        let mut meta = vec![(0.into(), map([(0, "ACME".into())]))];
        meta.extend(validity.map(|validity| (1.into(), validity)));
        (8, Value::Bytes(encoded(&Value::Map(meta))))
    };
    let content = "application/rim+cbor";
    let claims = |entries: Value| (15, entries);
    assert_eq!(read(content, &[meta(None)]), Ok(vec![expected()]));
    assert_eq!(
        read("application/corim-unsigned+cbor", &[meta(None)]),
        Ok(vec![expected()])
    );
    assert_eq!(
        read(content, &[claims(map([(1, "ACME".into())]))]),
        Ok(vec![expected()])
    );
    assert_eq!(
        read("text/plain", &[meta(None)]),
        Err(Error::Header("content type"))
    );
    assert_eq!(read(content, &[]), Err(Error::Header("signer")));
    assert_eq!(read(content, &[(8, map([]))]), Err(Error::Header("signer")));
    assert_eq!(
        read(content, &[claims(map([]))]),
        Err(Error::Header("signer"))
    );
    let over = map([(1, tag(1, 7.into()))]);
    assert_eq!(
        read(content, &[meta(Some(over))]),
        Err(Error::Expired(UnixTime(7)))
    );
    let expired = map([(1, "ACME".into()), (4, NOW.0.into())]);
    let last = UnixTime(NOW.0 - 1);
    assert_eq!(read(content, &[claims(expired)]), Err(Error::Expired(last)));
    let early = map([(1, "ACME".into()), (5, (NOW.0 + 1).into())]);
    let first = UnixTime(NOW.0 + 1);
    assert_eq!(
        read(content, &[claims(early)]),
        Err(Error::NotYetValid(first))
    );
}

#[test]
fn no_changed_or_truncated_manifest_is_accepted() {
    let [key, other, _] = keys();
    let public = key.verifying_key();
    let signed = full().to_signed("ACME", &key).unwrap();
    for length in 0..signed.len() {
        assert!(
            Manifest::from_signed(&signed[..length], &public, NOW).is_err(),
            "{length}"
        );
    }
    for position in 0..signed.len() {
        let mut changed = signed.clone();
        changed[position] ^= 1;
        assert!(
            Manifest::from_signed(&changed, &public, NOW).is_err(),
            "{position}"
        );
    }
    let unsigned = full().to_unsigned().unwrap();
    for length in 0..unsigned.len() {
        assert!(
            Manifest::from_unsigned(&unsigned[..length], NOW).is_err(),
            "{length}"
        );
    }
    let error = Manifest::from_signed(&unsigned, &public, NOW).unwrap_err();
    assert_eq!(error, Error::Tag("a signed manifest"));
    let error = Manifest::from_unsigned(&signed, NOW).unwrap_err();
    assert_eq!(error, Error::Tag("an unsigned manifest"));
    let error = Manifest::from_signed(&signed, &other.verifying_key(), NOW).unwrap_err();
    assert_eq!(error, Error::Cose(CoseError::Algorithm));
    let error = Manifest::from_signed(&signed, &Minter::new().1, NOW).unwrap_err();
    assert_eq!(error, Error::Cose(CoseError::Signature));
}
