//! The checked-in vectors: what this code makes is what they say.

use std::path::Path;

use enarx_wire_provision::*;
use hpke::{Kem, Serializable, kem};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha384};

use crate::sample::*;

/// Compares with the file, or rewrites it first if that is asked for.
fn compare(file: &str, made: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(file);
    if std::env::var_os("ENARX_WRITE_VECTORS").is_some() {
        std::fs::write(&path, format!("{made:#}\n")).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        made, &kept,
        "ENARX_WRITE_VECTORS=1 rewrites tests/vectors/{file}"
    );
}

/// The transcript hash, computed from the document a second time.
pub fn transcript_hash(offer: &[u8], suite: Suite) -> [u8; 48] {
    #[derive(Serialize)]
    struct Transcript<'a> {
        label: &'a str,
        suite: &'a str,
        #[serde(with = "serde_bytes")]
        nonce: &'a [u8],
        #[serde(with = "serde_bytes")]
        claims: &'a [u8],
        #[serde(with = "serde_bytes")]
        evidence: &'a [u8],
    }
    let offer: Offer = enarx_wire_cbor::from_slice(offer, MAX_OFFER_SIZE).unwrap();
    let encoded = enarx_wire_cbor::to_vec(&Transcript {
        label: "enarx provision v1",
        suite: suite.as_str(),
        nonce: challenge().nonce(),
        claims: &offer.claims,
        evidence: &offer.evidence,
    })
    .unwrap();
    Sha384::digest(encoded).into()
}

/// The Keep's private keys, made again from the same randomness.
fn private_keys() -> [String; 2] {
    fn private<K: Kem>(random: &mut TestRandom) -> String {
        hex::encode(K::gen_keypair_with_rng(random).0.to_bytes())
    }
    let mut random = TestRandom::new("keep");
    [
        private::<kem::XWing>(&mut random),
        private::<kem::X25519HkdfSha256>(&mut random),
    ]
}

#[test]
fn the_provision_vectors_are_reproduced() {
    let encoded = offer();
    let owner = challenge().answered(&encoded).unwrap();
    let offer: Offer = enarx_wire_cbor::from_slice(&encoded, MAX_OFFER_SIZE).unwrap();
    let grants: Vec<Value> = Suite::ALL
        .into_iter()
        .zip(private_keys())
        .map(|(suite, private)| {
            let (sealed, session) = seal(&encoded, suite);
            answering_keep().open(&sealed).unwrap();
            json!({
                "suite": suite.as_str(),
                "private_key": private,
                "transcript_hash": hex::encode(transcript_hash(&encoded, suite)),
                "sealed_grant": hex::encode(&sealed),
                "session_secret": hex::encode(session.expose()),
            })
        })
        .collect();
    let application = owner_secret().application(NAME);
    let program = [0x1d; 48];
    let keys: Vec<Value> = [&b""[..], b"volume", &[0xff; 1024]]
        .into_iter()
        .map(|context| {
            json!({
                "context": hex::encode(context),
                "application_key": hex::encode(*application.application_key(context)),
                "program_key": hex::encode(*application.program_key(&program, context)),
            })
        })
        .collect();
    let made = json!({
        "seeds": {
            "nonce": "owner",
            "keep_keys": "keep",
            "encapsulation": "seal",
            "owner_secret": "owner secret",
        },
        "application": {
            "owner_secret": hex::encode(owner_secret().expose()),
            "name": NAME,
            "application_secret": hex::encode(application.expose()),
            "simulated_secret": hex::encode(owner_secret().simulated_application(NAME).expose()),
            "program": hex::encode(program),
            "keys": keys,
        },
        "nonce": hex::encode(challenge().nonce()),
        "claims": hex::encode(&offer.claims),
        "target_digest": hex::encode(target_digest(&owner.claims().target).unwrap()),
        "report_data": hex::encode(owner.report_data()),
        "evidence": hex::encode(&offer.evidence),
        "offer": hex::encode(&encoded),
        "grant": {
            "content_key": hex::encode(*grant().content_key),
            "manifest_digest": hex::encode(grant().manifest_digest),
            "time_floor": grant().time_floor,
            "application_secret": hex::encode(application.expose()),
            "application_identity": hex::encode(grant().application_identity()),
        },
        "sealed": grants,
    });
    compare("provision.json", &made);
}

#[test]
fn the_session_vectors_are_reproduced() {
    let secret = SessionSecret::new(TestRandom::new("session").bytes());
    let ending = Ending {
        cause: Cause::Trapped,
        status: Cause::Trapped.default_status(),
        message: "wasm trap: unreachable".into(),
    };
    let mut writer = OutputWriter::new(&secret);
    let mut output = |kind: &str, payload: &[u8], value: &Output| {
        json!({
            "kind": kind,
            "payload": hex::encode(payload),
            "frame": hex::encode(writer.frame(value).unwrap()),
        })
    };
    let outputs = json!([
        output("stdout", b"hello\n", &Output::Stdout(b"hello\n".to_vec())),
        output("stderr", b"", &Output::Stderr(Vec::new())),
        output("log", b"started", &Output::Log("started".into())),
        output(
            "end",
            &enarx_wire_cbor::to_vec(&ending).unwrap(),
            &Output::End(ending.clone())
        ),
    ]);
    let attachments: Vec<Value> = [(1, [0xa1; 16]), (1_893_456_000_000, [0xb2; 16])]
        .into_iter()
        .map(|(epoch, id)| {
            let mut writer = InputWriter::new(&secret, epoch, id);
            let mut input = |kind: &str, payload: &[u8], value: &Input| {
                json!({
                    "kind": kind,
                    "payload": hex::encode(payload),
                    "frame": hex::encode(writer.frame(value).unwrap()),
                })
            };
            let frames = json!([
                input("stdin", b"typed\n", &Input::Stdin(b"typed\n".to_vec())),
                input("stdin-end", b"", &Input::StdinEnd),
                input("stop", b"", &Input::Stop),
            ]);
            json!({ "epoch": epoch, "id": hex::encode(id), "frames": frames })
        })
        .collect();
    let made = json!({
        "seed": "session",
        "session_secret": hex::encode(secret.expose()),
        "ending": {
            "cause": "trapped",
            "status": ending.status,
            "message": ending.message,
        },
        "output": outputs,
        "input": attachments,
    });
    compare("session.json", &made);
}
