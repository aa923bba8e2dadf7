//! Evidence of real processors, up to the verdict.

use std::fs;

use enarx_owner_appraisal::{Level, Policy, ReferenceValues, Submission, appraise};
use enarx_owner_evidence::{
    CertificateError, Evidence,
    materials::{Materials, Roots},
    snp::{self, CertificateRole, Certificates, Error, SimulatedRoots},
};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    failed,
    vectors::{self, Case},
};

#[test]
fn every_case_gets_its_verdict() {
    let Some((cases, derived, _)) = vectors::cases() else {
        return;
    };
    for case in &cases {
        let policy = policy(case, "");
        let (level, failed_checks) = verdict(case, &case.report, &policy);
        let debug_allowed = verdict(case, &case.report, &self::policy(case, "debug = \"allow\""));
        match case.verdict.as_str() {
            "ACCEPT" => assert_eq!((level, failed_checks), (Level::Genuine, vec![])),
            "REJECT(debug)" => {
                assert_eq!((level, failed_checks), (Level::Rejected, names(&["debug"])));
                assert_eq!(debug_allowed.0, Level::Genuine);
            }
            "REJECT" => {
                assert_eq!(level, Level::Rejected);
                assert!(
                    failed_checks.contains(&"evidence".to_owned()),
                    "{}",
                    case.id
                );
            }
            other => panic!("unknown verdict {other}"),
        }
    }
    for change in &derived {
        let case = cases.iter().find(|case| case.id == change.case).unwrap();
        let report = change.apply(&case.report);
        let (level, _) = verdict(case, &report, &policy(case, "debug = \"allow\""));
        assert_eq!(level, Level::Rejected, "{}: {}", case.id, change.what);
    }
    println!(
        "verdicts agree: {} cases, {} changed reports",
        cases.len(),
        derived.len()
    );
}

#[test]
fn minimum_tcb_of_a_processor_with_fmc() {
    let Some(case) = vectors::case("snp-oak-turin-v5") else {
        return;
    };
    for (minimum, level) in [(0, Level::Genuine), (1, Level::Rejected)] {
        let policy = policy(&case, &format!("minimum_tcb.snp.fmc = {minimum}"));
        assert_eq!(verdict(&case, &case.report, &policy).0, level);
    }
}

#[test]
fn a_masked_chip_is_not_on_any_list() {
    let Some(case) = vectors::case("snp-trustee-milan-v3-vlek-aws") else {
        return;
    };
    let policy = policy(&case, &format!("machines = [\"{}\"]", "00".repeat(64)));
    let rejected = (Level::Rejected, names(&["machine"]));
    assert_eq!(verdict(&case, &case.report, &policy), rejected);
}

#[test]
fn registers_of_a_virtual_tpm_are_as_the_policy_says() {
    let Some(directory) = vectors::directory() else {
        return;
    };
    let file = fs::read(directory.join("azure-vtpm/trustee/snp-milan-v1.json")).unwrap();
    let mut materials = Materials::default();
    materials.add(&file).unwrap();
    let now = vectors::time("2026-11-23T00:00:00Z");
    let evidence = materials.verify(&Roots::genuine(), now).unwrap();
    let passes = |register: &str, values: &[String]| {
        let rule = format!("[snp]\nvalues.{register} = {values:?}");
        let policy = format!("measurements = [\"keep-image\"]\n{rule}");
        let submission = Submission {
            evidence: Ok(&evidence),
            format: EvidenceFormat::SnpReport,
            platform: Platform::Cvm,
            report_data: &[0; 64],
            now,
        };
        let policy = Policy::from_toml(&policy).unwrap();
        let verdict = appraise(&submission, &policy, &ReferenceValues::default());
        let name = format!("snp: {register}");
        let check = verdict.checks().iter().find(|check| check.name == name);
        check.unwrap().passed
    };
    let mut told = 0;
    for number in 0..24 {
        let register = format!("pcr{number}");
        let mut values = evidence.summary().values.iter();
        let value = values.find(|value| value.name == register);
        let other = hex::encode([0x5a; 32]);
        assert!(
            !passes(&register, std::slice::from_ref(&other)),
            "{register}"
        );
        if let Some(value) = value {
            let right = hex::encode(&value.bytes);
            assert!(passes(&register, &[other, right.clone()]), "{register}");
            assert!(!passes(&register, &[right[2..].to_owned()]), "{register}");
            told += 1;
        }
    }
    assert!(told > 0);
}

/// A policy that lists the measurement of the case, at whatever privilege level.
fn policy(case: &Case, more: &str) -> Policy {
    let measurement = case.fields["measurement"].as_str().unwrap_or("keep-image");
    let text = format!("measurements = [\"{measurement}\"]\nmaximum_vmpl = 3\n{more}");
    Policy::from_toml(&text).unwrap()
}

fn verdict(case: &Case, report: &[u8], policy: &Policy) -> (Level, Vec<String>) {
    let evidence = verify(case, report);
    let mut report_data = [0; 64];
    if let Some(text) = case.fields["report_data"].as_str() {
        hex::decode_to_slice(text, &mut report_data).unwrap();
    }
    let submission = Submission {
        evidence: evidence.as_ref().map_err(|error| error as _),
        format: EvidenceFormat::SnpReport,
        platform: Platform::Cvm,
        report_data: &report_data,
        now: case.now,
    };
    let verdict = appraise(&submission, policy, &ReferenceValues::default());
    (verdict.level(), names(&failed(&verdict)))
}

fn verify(case: &Case, report: &[u8]) -> Result<Evidence, Error> {
    let over = |authority: usize| {
        let certificates = Certificates {
            endorsement_key: &case.endorsement_key,
            signing_authority: &case.authorities[authority],
            root: &case.authorities[1],
        };
        snp::verify_either(report, &certificates, &SimulatedRoots::None, case.now)
    };
    match over(0) {
        Err(Error::Certificate {
            role: CertificateRole::EndorsementKey,
            reason: CertificateError::IssuerName,
        }) => over(2),
        other => other,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
