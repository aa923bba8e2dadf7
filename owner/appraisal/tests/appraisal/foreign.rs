//! Tokens that other implementations made: PyJWT 2 and pycose 1, over the examples of
//! the drafts. `foreign.json` holds them with the public keys.

use enarx_owner_appraisal::{
    VerifyingKey,
    corim::{Digest, Identifier, Manifest, MeasurementKey},
    ear::{AttestationResult, Tier, TrustClaim},
};
use enarx_owner_evidence::UnixTime;
use serde::Deserialize;

const NOW: UnixTime = UnixTime(1_800_000_000);

#[derive(Deserialize)]
struct Foreign {
    algorithm: String,
    key: String,
    jwt: String,
    cwt: String,
    corim: String,
}

fn each(check: impl Fn(&Foreign, &VerifyingKey)) {
    let foreign: Vec<Foreign> = serde_json::from_str(include_str!("foreign.json")).unwrap();
    let names = foreign.iter().map(|one| one.algorithm.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["ES256", "ES384", "EdDSA"]);
    for one in &foreign {
        let key = VerifyingKey::from_pem(&one.key).unwrap();
        assert_eq!(key.algorithm().jose_name(), one.algorithm);
        check(one, &key);
    }
}

#[test]
fn attestation_results_of_others_are_read() {
    each(|foreign, key| {
        let jwt = AttestationResult::from_jwt(&foreign.jwt, key, NOW).unwrap();
        let cwt = hex::decode(&foreign.cwt).unwrap();
        let cwt = AttestationResult::from_cwt(&cwt, key, NOW).unwrap();
        assert_eq!(jwt, cwt);
        let appraisal = &cwt.submodules["PSA"];
        assert_eq!(appraisal.status(), Tier::Contraindicated);
        assert_eq!(
            appraisal.trust_vector().unwrap().executables,
            TrustClaim(96)
        );
        assert_eq!(cwt.issued_at, UnixTime(1_666_529_184));
    });
}

#[test]
fn manifests_of_others_are_read() {
    each(|foreign, key| {
        let corim = hex::decode(&foreign.corim).unwrap();
        let manifest = Manifest::from_signed(&corim, key, NOW).unwrap();
        let [value] = manifest.values.as_slice() else {
            panic!("{manifest:?}");
        };
        let class = b"acme-implementation-id-000000001".to_vec();
        assert_eq!(value.environment.class_id, Some(Identifier::Bytes(class)));
        let key = "psa.software-component".to_owned();
        assert_eq!(value.key, Some(MeasurementKey::Text(key)));
        let digest = "9a271f2a916b0b6ee6cecb2426f0b3206ef074578be55d9bc94f6f3fe3ab86aa";
        let digest = hex::decode(digest).unwrap();
        assert_eq!(value.digests, [Digest::of_length(&digest).unwrap()]);
    });
}
