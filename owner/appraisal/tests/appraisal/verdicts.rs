//! What a verdict says, to people and to programs.

use enarx_owner_appraisal::{
    AcceptedMeasurement, Level, Permission, Policy, Profile, ReferenceValues, Submission, appraise,
};
use enarx_owner_evidence::{AnchorKind, UnixTime, snp::Error};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    failed,
    keys::{evidence, submission},
    mint,
};

#[test]
fn every_check_is_always_listed() {
    let names = [
        "evidence",
        "trust anchor",
        "report data",
        "technology",
        "platform",
        "platform evidence",
        "measurement",
        "debug",
        "migration agent",
        "product",
        "TCB: bootloader",
        "TCB: tee",
        "TCB: snp",
        "TCB: microcode",
        "TCB: fmc",
        "revocation",
        "collateral age",
        "privilege level",
        "machine",
        "host data",
    ];
    let evidence = evidence(&mint::sign(mint::report()));
    for (submission, profile) in [
        (submission(&evidence), Profile::Simulation),
        (submission(&evidence), Profile::Standard),
        (unverified(&Error::Signature), Profile::Simulation),
    ] {
        let verdict = appraise(&submission, &profile.policy(), &ReferenceValues::default());
        let listed: Vec<_> = verdict.checks().iter().map(|check| &*check.name).collect();
        assert_eq!(listed, names);
        for check in verdict.checks() {
            assert!(!check.source.is_empty(), "{}", check.name);
            assert!(!check.expected.is_empty(), "{}", check.name);
            assert!(!check.actual.is_empty(), "{}", check.name);
            assert_eq!(check.remedy.is_none(), check.passed, "{}", check.name);
        }
    }
}

#[test]
fn what_did_not_verify_fails_every_check_of_its_content() {
    let policy = Profile::Simulation.policy();
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let verdict = appraise(&unverified(&Error::Signature), &policy, &reference);
    assert_eq!(verdict.level(), Level::Rejected);
    let passed = verdict.checks().iter().filter(|check| check.passed);
    let passed: Vec<_> = passed.map(|check| &*check.name).collect();
    assert_eq!(passed, ["technology", "platform"]);
    assert_eq!(verdict.checks()[0].actual, Error::Signature.to_string());
}

#[test]
fn other_claims_than_those_in_the_evidence() {
    let evidence = evidence(&mint::sign(mint::report()));
    let other = [0xd5; 64];
    let submission = Submission {
        report_data: &other,
        ..submission(&evidence)
    };
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let verdict = appraise(&submission, &Profile::Simulation.policy(), &reference);
    assert_eq!(failed(&verdict), ["report data"]);
}

#[test]
fn a_platform_that_the_evidence_cannot_prove() {
    let evidence = evidence(&mint::sign(mint::report()));
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    for platform in Platform::ALL {
        let submission = Submission {
            platform,
            ..submission(&evidence)
        };
        let verdict = appraise(&submission, &Profile::Simulation.policy(), &reference);
        let expected: &[&str] = match platform {
            Platform::Sgx | Platform::Tdx => &["platform evidence"],
            // It could be, and this policy does not name it.
            Platform::Cvm => &["confidential VM"],
            _ => &[],
        };
        assert_eq!(failed(&verdict), expected, "{platform}");
    }
}

/// The evidence is the VM's, whose root can make any claims: the policy must say whose word
/// counts.
#[test]
fn a_confidential_vm_must_be_named() {
    let evidence = evidence(&mint::sign(mint::report()));
    let submission = Submission {
        platform: Platform::Cvm,
        ..submission(&evidence)
    };
    let appraise = |measurements: &[AcceptedMeasurement]| {
        let policy = Policy {
            measurements: measurements.to_vec(),
            ..Profile::Simulation.policy()
        };
        let reference = ReferenceValues::new([[0x3e; 48]]);
        appraise(&submission, &policy, &reference)
    };
    let named = AcceptedMeasurement::Value(vec![0x3e; 48]);
    let other = AcceptedMeasurement::Value(vec![0x3f; 48]);
    let verdict = appraise(&[AcceptedMeasurement::KeepImage, named]);
    assert_eq!(verdict.level(), Level::Simulated);
    let mut checks = verdict.checks().iter();
    let told = checks
        .find(|check| check.name == "confidential VM")
        .unwrap();
    assert!(told.actual.contains("kernel"), "{}", told.actual);
    for measurements in [
        vec![AcceptedMeasurement::Any],
        vec![AcceptedMeasurement::KeepImage],
        vec![
            AcceptedMeasurement::ReferenceValues,
            AcceptedMeasurement::Any,
        ],
        vec![other.clone(), AcceptedMeasurement::Any],
    ] {
        assert_eq!(failed(&appraise(&measurements)), ["confidential VM"]);
    }
    let failures = ["confidential VM", "measurement"];
    assert_eq!(failed(&appraise(&[other])), failures);
}

#[test]
fn only_what_was_not_rejected_can_be_accepted() {
    let evidence = evidence(&mint::sign(mint::report()));
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let verdict =
        |profile: Profile| appraise(&submission(&evidence), &profile.policy(), &reference);

    let accepted = verdict(Profile::Simulation).accept().unwrap();
    assert_eq!(accepted.kind(), AnchorKind::Simulated);
    assert_eq!(accepted.report_data(), &[0xd4; 64]);
    assert_eq!(accepted.verdict().level(), Level::Simulated);

    let rejected = verdict(Profile::Standard).accept().unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "the Keep was rejected: trust anchor, product"
    );
    assert_eq!(rejected.verdict().policy(), "standard");
}

#[test]
fn simulated_evidence_is_never_better_than_simulated() {
    let evidence = evidence(&mint::sign(mint::report()));
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    for profile in Profile::ALL {
        for simulation in [Permission::Deny, Permission::Allow] {
            for debug in [Permission::Deny, Permission::Allow] {
                let mut policy = profile.policy();
                policy.simulation = simulation;
                policy.debug = debug;
                let verdict = appraise(&submission(&evidence), &policy, &reference);
                assert!(verdict.level() <= Level::Simulated);
            }
        }
    }
}

#[test]
fn programs_read_json() {
    let evidence = evidence(&mint::sign(mint::report()));
    let policy = Profile::Standard.policy();
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let verdict = appraise(&submission(&evidence), &policy, &reference);
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["level"], "rejected");
    assert_eq!(json["policy"], "standard");
    assert_eq!(json["checks"].as_array().unwrap().len(), 20);
    let anchor = &json["checks"][1];
    assert_eq!(anchor["name"], "trust anchor");
    assert_eq!(anchor["expected"], "genuine");
    assert_eq!(anchor["passed"], false);
    assert!(
        anchor["actual"]
            .as_str()
            .unwrap()
            .starts_with("simulated, ")
    );
    assert!(anchor["remedy"].is_string());
    assert!(json["checks"][2]["remedy"].is_null());
}

#[test]
fn people_read_a_tree() {
    let mut report = mint::report();
    mint::put(&mut report, 0x008, &(1u64 << 17 | 1 << 19).to_le_bytes());
    let evidence = evidence(&mint::sign(report));
    let policy = Profile::Simulation.policy();
    let reference = ReferenceValues::new(vec![[0x3e; 48]]);
    let tree = appraise(&submission(&evidence), &policy, &reference).to_string();
    println!("{tree}");
    let lines: Vec<_> = tree.lines().collect();
    assert_eq!(lines[0], "rejected under policy simulation");
    assert!(lines[1].starts_with("├─ pass  evidence           verified: Milan"));
    let debug = lines.iter().position(|line| line.contains("FAIL")).unwrap();
    assert_eq!(lines[debug], "├─ FAIL  debug              on");
    assert_eq!(lines[debug + 1], "│        expected  off");
    assert!(lines[debug + 2].contains("source    AMD #56860"));
    assert!(lines[debug + 3].contains("remedy    "));
    assert!(lines.last().unwrap().starts_with("└─ pass  host data"));
    assert_eq!(lines.len(), 1 + 20 + 3);
}

fn unverified(error: &Error) -> Submission<'_> {
    Submission {
        evidence: Err(error),
        format: EvidenceFormat::SnpReport,
        platform: Platform::Snp,
        report_data: &[0xd4; 64],
        now: UnixTime(mint::NOW),
    }
}
