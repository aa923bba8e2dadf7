//! Nitro documents, CCA tokens, NVIDIA reports and Azure's virtual TPM: real ones, and what
//! becomes of them when they are changed.

use std::fs;

use enarx_owner_evidence::{
    Evidence, FailureKind, Genuine, Simulated, Technology, UnixTime,
    azure::{self, UvmEndorsement, UvmError},
    cca::{self, PlatformKey},
    materials::{Kind, Materials, Roots, Unrecognized},
    nitro, nvidia,
};
use serde_json::Value;
use x509_cert::der::Encode as _;

use crate::vectors::{directory, time};

/// A case with its files: the evidence first, then the others by their roles.
struct Case {
    fields: Value,
    evidence: Vec<u8>,
    others: Vec<(String, Vec<u8>)>,
}

/// The cases of a technology that are accepted.
fn accepted(technology: &str, evidence: &str) -> Vec<Case> {
    let Some(directory) = directory() else {
        return Vec::new();
    };
    let text = fs::read(directory.join("cases.json")).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let cases = document["cases"].as_array().unwrap().iter();
    cases
        .filter(|case| case["tech"] == technology && case["verdict"] == "ACCEPT")
        .filter(|case| case["files"][evidence].is_string())
        .map(|case| {
            let read = |path: &Value| fs::read(directory.join(path.as_str().unwrap())).unwrap();
            let files = case["files"].as_object().unwrap().iter();
            let others = files.filter(|(role, _)| *role != evidence);
            Case {
                evidence: read(&case["files"][evidence]),
                others: others
                    .map(|(role, path)| (role.clone(), read(path)))
                    .collect(),
                fields: case.clone(),
            }
        })
        .collect()
}

impl Case {
    fn verify(&self, evidence: &[u8]) -> Result<Evidence, FailureKind> {
        let mut roots = Roots::genuine();
        let mut materials = Materials::default();
        let malformed = |_| FailureKind::Malformed;
        materials.add(evidence).map_err(malformed)?;
        for (role, bytes) in &self.others {
            if role == "trust_anchor" {
                roots.cca = PlatformKey::read(bytes).map_err(|error| error.kind())?;
            } else {
                materials.add(bytes).map_err(malformed)?;
            }
        }
        let now = time(self.fields["now"].as_str().unwrap());
        materials.verify(&roots, now).map_err(|error| error.kind())
    }
}

/// Flips bits all over the evidence, and cuts it.
fn refuses_changes(case: &Case, evidence: &[u8], step: usize, signed: impl Fn(usize) -> bool) {
    for position in (0..evidence.len()).step_by(step).filter(|at| signed(*at)) {
        let mut changed = evidence.to_vec();
        changed[position] ^= 0x04;
        let result = case.verify(&changed);
        assert!(result.is_err(), "{}, byte {position}", case.fields["id"]);
    }
    for length in (0..evidence.len()).step_by(step) {
        let result = case.verify(&evidence[..length]);
        assert!(result.is_err(), "{}, {length} bytes", case.fields["id"]);
    }
}

fn names_are_known(evidence: &Evidence) {
    let summary = evidence.summary();
    let names = summary.technology.names();
    assert!(
        summary
            .flags
            .iter()
            .all(|one| names.flags.contains(&one.name))
    );
    assert!(
        summary
            .numbers
            .iter()
            .all(|one| names.numbers.contains(&one.name))
    );
    assert!(
        summary
            .values
            .iter()
            .all(|one| names.values.contains(&one.name))
    );
    assert!(!evidence.steps().is_empty());
}

#[test]
fn nitro_documents() {
    for case in accepted("nitro", "document") {
        let evidence = case.verify(&case.evidence).unwrap();
        assert_eq!(evidence.summary().technology, Technology::Nitro);
        assert!(!evidence.summary().debug);
        names_are_known(&evidence);
        // The document alone, without what lies around it in the file.
        let length = usize::from(u16::from_le_bytes([case.evidence[2], case.evidence[3]]) >> 2);
        let document = case.evidence[4..4 + length].to_vec();
        refuses_changes(&case, &document, 13, |_| true);
        // The signer's certificate holds for three hours.
        let later = UnixTime(time(case.fields["now"].as_str().unwrap()).0 + 4 * 60 * 60);
        let error = nitro::verify(&document, &nitro::GenuineRoots, later).unwrap_err();
        assert!(matches!(error, nitro::Error::Certificate { .. }), "{error}");
        let simulated = nitro::SimulatedRoots(vec![nitro::AWS_NITRO_ROOT]);
        let error = nitro::verify(&document, &simulated, later).unwrap_err();
        assert_eq!(error, nitro::Error::UntrustedRoot);
    }
}

#[test]
fn nvidia_reports() {
    for case in accepted("nvidia", "report") {
        let evidence = case.verify(&case.evidence).unwrap();
        let nonce = case.fields["nonce"].as_str().unwrap();
        assert_eq!(hex::encode(&evidence.summary().report_data), nonce);
        // The beginning of a nonce is another nonce.
        let nonce = hex::decode(nonce).unwrap();
        assert!(evidence.summary().carries(&nonce));
        assert!((0..nonce.len()).all(|length| !evidence.summary().carries(&nonce[..length])));
        names_are_known(&evidence);
        let report = hex::decode(case.evidence.trim_ascii()).unwrap();
        let padding = report.iter().rev().take_while(|byte| **byte == 0).count();
        let report = &report[..report.len() - padding];
        refuses_changes(&case, report, 17, |_| true);
        // A device that leads to somebody else's root.
        let now = time(case.fields["now"].as_str().unwrap());
        let pem = String::from_utf8(case.others[0].1.clone()).unwrap();
        let chain = x509_cert::Certificate::load_pem_chain(pem.as_bytes()).unwrap();
        let chain: Vec<_> = chain.iter().map(|one| one.to_der().unwrap()).collect();
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let genuine = nvidia::verify(report, &chain, &nvidia::GenuineRoots, now);
        assert!(genuine.is_ok());
        for digests in [Vec::new(), vec![[0; 48]], vec![nvidia::NVIDIA_DEVICE_ROOT]] {
            let roots = nvidia::SimulatedRoots(digests);
            let error = nvidia::verify(report, &chain, &roots, now).unwrap_err();
            assert_eq!(error, nvidia::Error::UntrustedRoot);
        }
        // In any order, with others beside it.
        let mut others = chain.clone();
        others.extend(enarx_owner_evidence::snp::AMD_AUTHORITIES);
        for _ in 0..others.len() {
            others.rotate_left(1);
            assert!(nvidia::verify(report, &others, &nvidia::GenuineRoots, now).is_ok());
        }
        for missing in 1..chain.len() {
            let mut fewer = chain.clone();
            fewer.remove(missing);
            let error = nvidia::verify(report, &fewer, &nvidia::GenuineRoots, now).unwrap_err();
            assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
        }
        let none = nvidia::verify(report, &[], &nvidia::GenuineRoots, now);
        assert_eq!(none.unwrap_err(), nvidia::Error::NoCertificates);
        // One that another chain of the same root certifies.
        let error = nvidia::verify(report, &chain[1..], &nvidia::GenuineRoots, now);
        assert!(error.is_err());
    }
}

#[test]
fn several_devices_are_told_apart() {
    let lists = accepted("nvidia", "evidence");
    for case in &lists {
        let list: Value = serde_json::from_slice(&case.evidence).unwrap();
        let mut devices = list.as_array().unwrap().clone();
        devices.extend(devices.clone());
        let mut materials = Materials::default();
        let list = serde_json::to_vec(&devices).unwrap();
        materials.add(&list).unwrap();
        let now = time(case.fields["now"].as_str().unwrap());
        // Whose verdict should it be?
        assert!(materials.verify(&Roots::genuine(), now).is_err());
        let each = materials.by_device();
        assert_eq!(each.len(), devices.len());
        for device in each {
            assert!(device.verify(&Roots::genuine(), now).is_ok());
        }
        // The list as it is, and in the object that agents in guests put around it.
        let plain: Value = serde_json::from_slice(&case.evidence).unwrap();
        let object = serde_json::json!({ "device_evidence_list": plain }).to_string();
        for list in [&case.evidence, object.as_bytes()] {
            let mut alone = Materials::default();
            alone.add(list).unwrap();
            let each = alone.by_device();
            assert_eq!(each.len(), devices.len() / 2);
            assert!(each[0].verify(&Roots::genuine(), now).is_ok());
        }
        for wrong in ["[]", "[{}]", "{}", "\"list\""] {
            let object = format!("{{\"device_evidence_list\": {wrong}}}");
            let refused = Materials::default().add(object.as_bytes());
            assert_eq!(refused, Err(Unrecognized::Unknown), "{wrong}");
        }
    }
}

#[test]
fn cca_tokens() {
    for case in accepted("cca", "token") {
        let evidence = case.verify(&case.evidence).unwrap();
        let challenge = case.fields["challenge"].as_str().unwrap();
        assert_eq!(hex::encode(&evidence.summary().report_data), challenge);
        names_are_known(&evidence);
        refuses_changes(&case, &case.evidence, 1, |_| true);
        // Whoever trusts nobody is told what is missing.
        let none: [PlatformKey<Genuine>; 0] = [];
        let error = cca::verify(&case.evidence, &none).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Collateral);
        // What the key vouches for is in the type of the result.
        let key = &case.others[0].1;
        let keys: Vec<PlatformKey<Simulated>> = PlatformKey::read(key).unwrap();
        let token = cca::verify(&case.evidence, &keys).unwrap();
        assert_eq!(token.anchor(), keys[0].digest());
    }
}

#[test]
fn platform_keys_that_are_none() {
    for (text, what) in [
        ("", "JSON"),
        ("[]", "neither"),
        ("[{}]", "pkey"),
        (r#"{"kty":"RSA"}"#, "kty"),
        (r#"{"kty":"EC","crv":"P-224"}"#, "crv"),
        (r#"{"kty":"EC","crv":"P-256","x":"AA"}"#, "length"),
        (r#"{"kty":"EC","crv":"P-256","x":"ÄÖ"}"#, "base64url"),
    ] {
        let error = PlatformKey::<Genuine>::read(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
}

#[test]
fn virtual_tpms_of_azure() {
    for case in accepted("azure-vtpm", "evidence") {
        let parsed = azure::Evidence::parse(&case.evidence).unwrap();
        assert_eq!(
            hex::encode(parsed.nonce()),
            case.fields["nonce"].as_str().unwrap()
        );
        let report_data = match parsed.hardware() {
            azure::Hardware::Snp { report, .. } => report[0x50..0x90].to_vec(),
            azure::Hardware::Tdx { quote } => quote[568..632].to_vec(),
        };
        let tpm = parsed.check(&report_data).unwrap();
        assert_eq!(tpm.registers().len(), 24);
        let mut other = report_data.clone();
        other[0] ^= 1;
        assert_eq!(parsed.check(&other), Err(azure::Error::RuntimeData));
        other[0] ^= 1;
        other[63] ^= 1;
        assert_eq!(parsed.check(&other), Err(azure::Error::RuntimeData));

        // What was quoted is there for policies.
        if let Ok(evidence) = case.verify(&case.evidence) {
            let values = &evidence.summary().values;
            let pcrs = values.iter().filter(|value| value.name.starts_with("pcr"));
            assert_eq!(pcrs.count(), 24);
            names_are_known(&evidence);
        }

        // Each part of the document, changed alone.
        let document: Value = serde_json::from_slice(&case.evidence).unwrap();
        let quote = if document["quote"].is_object() {
            "quote"
        } else {
            "tpm_quote"
        };
        for (part, error) in [
            ("message", azure::Error::Signature),
            ("signature", azure::Error::Signature),
        ] {
            let mut changed = document.clone();
            let value = &mut changed[quote][part];
            *value = match value {
                Value::Array(list) => {
                    let last = list.last_mut().unwrap();
                    *last = Value::from(last.as_u64().unwrap() ^ 1);
                    Value::Array(list.clone())
                }
                Value::String(text) => {
                    let mut bytes = hex::decode(text).unwrap();
                    *bytes.last_mut().unwrap() ^= 1;
                    Value::from(hex::encode(bytes))
                }
                _ => panic!("{part}"),
            };
            let changed = azure::Evidence::parse(&serde_json::to_vec(&changed).unwrap()).unwrap();
            assert_eq!(changed.check(&report_data), Err(error), "{part}");
        }
        let mut changed = document.clone();
        let registers = changed[quote]["pcrs"].as_array_mut().unwrap();
        registers.swap(0, 1);
        let changed = azure::Evidence::parse(&serde_json::to_vec(&changed).unwrap()).unwrap();
        assert_eq!(changed.check(&report_data), Err(azure::Error::Registers));
        for length in (0..case.evidence.len()).step_by(501) {
            assert!(azure::Evidence::parse(&case.evidence[..length]).is_err());
        }
    }
}

#[test]
fn reports_of_paravisors_alone() {
    let Some(directory) = directory() else {
        return;
    };
    let read =
        |name: &str| fs::read(directory.join("azure-vtpm/azure-cvm-tooling").join(name)).unwrap();
    let now = time("2026-11-23T00:00:00Z");
    let verify = |report: &[u8]| {
        let mut materials = Materials::default();
        assert_eq!(materials.add(report), Ok(vec![Kind::HclReport]));
        materials.verify(&Roots::genuine(), now).unwrap_err()
    };
    // All but the certificate of the chip's key is there.
    let report = read("hcl-report-snp.bin");
    let error = verify(&report);
    assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    // The runtime data, the hardware's report data, and the level that asked for them.
    let words = report.windows(7).position(|bytes| bytes == b"encrypt");
    for (position, expected) in [
        (words.unwrap(), azure::Error::RuntimeData),
        (0x20 + 0x50, azure::Error::RuntimeData),
        (0x20 + 0x30, azure::Error::Privilege(1)),
    ] {
        let mut changed = report.clone();
        changed[position] ^= 1;
        assert_eq!(verify(&changed), expected.into());
    }
    // A TD's report can be verified by its own machine alone.
    let error = verify(&read("hcl-report-tdx.bin"));
    assert!(error.to_string().contains("td_quote"), "{error}");
}

#[test]
fn endorsements_of_utility_vms() {
    use enarx_owner_evidence::snp::Report;

    let Some(directory) = directory() else {
        return;
    };
    let read = |name: &str| fs::read(directory.join("snp/ms-sidecar").join(name)).unwrap();
    let message = read("body.uvm_reference_info.bin");
    let [report, vcek] = ["milan-v2.report.bin", "milan-v2.vcek.der"].map(read);
    let now = time("2023-02-10T00:00:00Z");
    let endorsement = UvmEndorsement::verify(&message, now).unwrap();
    assert_eq!(endorsement.feed, "ContainerPlat-AMD-UVM");
    assert_eq!(endorsement.guest_svn, 22);
    let parsed = Report::parse(&report).unwrap();
    assert!(endorsement.check(&parsed).is_ok());
    let other = Report::parse(&crate::mint::report()).unwrap();
    assert_eq!(endorsement.check(&other), Err(UvmError::Measurement));

    // The signer's certificate holds for a year.
    for moment in ["2023-01-01T00:00:00Z", "2024-02-01T00:00:00Z"] {
        let error = UvmEndorsement::verify(&message, time(moment)).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    }
    // Nothing that is signed can be changed; the time stamp, which is not, is not looked at.
    let header = 5 + usize::from(u16::from_be_bytes([message[3], message[4]]));
    let payload = message.windows(8).position(|bytes| bytes == b"{\n  \"x-m");
    let signed = (0..header).chain(payload.unwrap()..message.len());
    for offset in signed.step_by(7) {
        let mut changed = message.clone();
        changed[offset] ^= 0x10;
        assert!(
            UvmEndorsement::verify(&changed, now).is_err(),
            "at {offset}"
        );
    }
    for length in (0..message.len()).step_by(13) {
        assert!(UvmEndorsement::verify(&message[..length], now).is_err());
    }

    // Beside the report it is a further check.
    let verify = |report: &[u8]| {
        let mut materials = Materials::default();
        for file in [report, &vcek, &message] {
            materials.add(file).unwrap();
        }
        materials.verify(&Roots::genuine(), now)
    };
    let evidence = verify(&report).unwrap();
    let step = evidence.steps().last().unwrap();
    assert_eq!(
        (step.name, step.found.as_str()),
        (
            "UVM endorsement",
            "ContainerPlat-AMD-UVM with security version 22"
        )
    );
}

#[test]
fn files_are_known_by_their_bytes() {
    let mut materials = Materials::default();
    for unknown in [
        &b""[..],
        b"\x30",
        b"\x30\x84",
        b"hello",
        b"{}",
        b"[]",
        b"[1]",
        b"\xd9\x01",
    ] {
        assert!(materials.add(unknown).is_err(), "{unknown:?}");
    }
    assert!(materials.add(&vec![0; 5 << 20]).is_err());
    assert!(materials.evidence().is_empty());
    let report = crate::mint::sign(crate::mint::report());
    let issued = crate::mint::Chain::new().issue();
    assert_eq!(materials.add(&report), Ok(vec![Kind::SnpReport]));
    assert_eq!(materials.add(&issued.root), Ok(vec![Kind::Certificate]));
    let list = crate::mint::RevocationList::new().sign(&crate::mint::keys().root);
    assert_eq!(materials.add(&list), Ok(vec![Kind::RevocationList]));
    assert_eq!(
        materials.add(hex::encode(&report).as_bytes()),
        Ok(vec![Kind::SnpReport])
    );
    let response = [
        &[0; 4][..],
        &1184u32.to_le_bytes(),
        &[0; 24],
        &report,
        &[0; 9],
    ]
    .concat();
    assert_eq!(materials.add(&response), Ok(vec![Kind::SnpReport]));
    let roots = Roots::genuine();
    let error = materials
        .verify(&roots, UnixTime(crate::mint::NOW))
        .unwrap_err();
    assert!(
        error.to_string().contains("3 pieces of evidence"),
        "{error}"
    );
}

#[test]
fn event_logs() {
    use enarx_owner_evidence::{
        dcap::{Body, Quote},
        event_log::{EventLog, EventLogError},
    };

    let Some(directory) = directory() else {
        return;
    };
    let read = |name: &str| fs::read(directory.join("measurement/tdx-cos113").join(name)).unwrap();
    let bytes = read("ccel_data.dat");
    let quote = read("cos-113-tdx-quote.dat");
    let quote = Quote::parse(&quote).unwrap();
    let Body::Tdx(report) = quote.body() else {
        panic!("the quote is a TD's");
    };
    let log = EventLog::parse(&bytes).unwrap();
    assert_eq!(log.check(&report.rtmrs), Ok(()));
    assert!(log.events().len() > 10);
    let extending = |event: &&enarx_owner_evidence::event_log::Event| {
        event.kind != 3 && (1..=4).contains(&event.register)
    };
    let extending = log.events().iter().filter(extending).count();
    assert_eq!(log.witnessed().count(), extending);
    // The digest of the first event that extends something.
    let digest = log
        .events()
        .iter()
        .find(|event| event.kind != 3)
        .unwrap()
        .digest;
    let position = bytes
        .windows(48)
        .position(|window| window == digest)
        .unwrap();
    let mut changed = bytes.clone();
    changed[position] ^= 1;
    let changed = EventLog::parse(&changed).unwrap();
    assert!(matches!(
        changed.check(&report.rtmrs),
        Err(EventLogError::Mismatch(_))
    ));
    // Another value in each register.
    for number in 0..4 {
        let mut other = report.rtmrs;
        other[number][47] ^= 1;
        assert_eq!(log.check(&other), Err(EventLogError::Mismatch(number)));
    }
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0xff && *byte != 0)
        .unwrap();
    for length in (0..used).step_by(97) {
        let cut = EventLog::parse(&bytes[..length]);
        assert!(cut.is_err() || cut.unwrap().check(&report.rtmrs).is_err());
    }
    assert!(EventLog::parse(&vec![0; 5 << 20]).is_err());
}
