//! Every key of a policy is enforced: with a value that fits the evidence the verdict
//! passes, with another it fails at that key's check and no other.

use enarx_owner_appraisal::{
    BareEvidence, Level, Policy, ReferenceValues, Submission, Verdict, appraise, appraise_evidence,
};
use enarx_owner_evidence::{
    Digest, Evidence, UnixTime,
    snp::{self, Certificates, SimulatedRoots},
};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    failed,
    mint::{self, Chain, put},
};

/// Measurement and report data of the mint's reports.
const MEASUREMENT: Digest = [0x3e; 48];
const REPORT_DATA: [u8; 64] = [0xd4; 64];

#[test]
fn platforms() {
    passes("platforms = [\"snp\"]");
    fails("platforms = [\"process\", \"cvm\"]", "platform");
}

#[test]
fn measurements() {
    passes(&format!("measurements = [\"{}\"]", "3e".repeat(48)));
    passes(&format!(
        "measurements = [\"{}\", \"keep-image\"]",
        "00".repeat(48)
    ));
    let other = format!("measurements = [\"{}\"]", "00".repeat(48));
    fails(&other, "measurement");
    // The value listed alone must fit whole, not in part.
    let short = format!("measurements = [\"{}\"]", "3e".repeat(32));
    fails(&short, "measurement");
}

#[test]
fn measurements_of_manifests() {
    let named = policy("measurements = [\"reference-values\"]");
    let report = evidence(&mint::sign(mint::report()));
    let level = |policy: &Policy| appraise(&submission(&report), policy, &reference()).level();
    // As long as none are given, none are accepted.
    assert_eq!(level(&named), Level::Rejected);
    let with = |values: &[Vec<u8>]| level(&named.clone().with_reference_values(values));
    assert_eq!(with(&[]), Level::Rejected);
    assert_eq!(with(&[vec![0; 48]]), Level::Rejected);
    assert_eq!(with(&[vec![0; 48], MEASUREMENT.to_vec()]), Level::Simulated);
    // A policy that does not ask for them gets none.
    let other = policy(&format!("measurements = [\"{}\"]", "00".repeat(48)));
    let other = other.with_reference_values(&[MEASUREMENT.to_vec()]);
    assert_eq!(level(&other), Level::Rejected);
}

#[test]
fn keep_image_means_the_reference_values() {
    let evidence = evidence(&mint::sign(mint::report()));
    let policy = policy("measurements = [\"keep-image\"]");
    for (reference, level) in [
        (vec![MEASUREMENT], Level::Simulated),
        (vec![[0; 48], MEASUREMENT], Level::Simulated),
        (vec![[0; 48]], Level::Rejected),
        (vec![], Level::Rejected),
    ] {
        let reference = ReferenceValues::new(reference);
        let verdict = appraise(&submission(&evidence), &policy, &reference);
        assert_eq!(verdict.level(), level);
    }
}

#[test]
fn minimum_tcb() {
    // The mint's TCB: bootloader 4, tee 1, snp 24, microcode 219, no fmc.
    for (component, version, check) in [
        ("bootloader", 4, "TCB: bootloader"),
        ("tee", 1, "TCB: tee"),
        ("snp", 24, "TCB: snp"),
        ("microcode", 219, "TCB: microcode"),
    ] {
        passes(&format!("minimum_tcb.snp.{component} = {version}"));
        let higher = format!("minimum_tcb.snp.{component} = {}", version + 1);
        fails(&higher, check);
    }
    fails("minimum_tcb.snp.fmc = 0", "TCB: fmc");
}

#[test]
fn minimum_tcb_counts_at_launch_too() {
    for (offset, component, version, check) in [
        (0x1f0, "bootloader", 4, "TCB: bootloader"),
        (0x1f6, "snp", 24, "TCB: snp"),
        (0x1f7, "microcode", 219, "TCB: microcode"),
    ] {
        let text = format!("minimum_tcb.snp.{component} = {version}");
        let verdict = appraise_report_with(&text, offset, &[version - 1]);
        assert_eq!(failed(&verdict), [check]);
    }
}

#[test]
fn debug() {
    let debug = (1u64 << 17 | 1 << 19).to_le_bytes();
    let denied = appraise_report_with("debug = \"deny\"", 0x008, &debug);
    assert_eq!(failed(&denied), ["debug"]);
    let unsaid = appraise_report_with("", 0x008, &debug);
    assert_eq!(failed(&unsaid), ["debug"]);
    let allowed = appraise_report_with("debug = \"allow\"", 0x008, &debug);
    assert_eq!(allowed.level(), Level::Simulated);
}

#[test]
fn migration_agents_are_never_accepted() {
    let migratable = (1u64 << 17 | 1 << 18).to_le_bytes();
    let verdict = appraise_report_with("debug = \"allow\"", 0x008, &migratable);
    assert_eq!(failed(&verdict), ["migration agent"]);
}

#[test]
fn maximum_vmpl() {
    for vmpl in 0..4u32 {
        for maximum in 0..4 {
            let text = format!("maximum_vmpl = {maximum}");
            let verdict = appraise_report_with(&text, 0x030, &vmpl.to_le_bytes());
            let expected: &[_] = if vmpl <= maximum {
                &[]
            } else {
                &["privilege level"]
            };
            assert_eq!(failed(&verdict), expected, "{vmpl} with {text}");
        }
    }
}

#[test]
fn machines() {
    let other = "00".repeat(64);
    passes(&format!(
        "machines = [\"{other}\", \"{}\"]",
        "c1".repeat(64)
    ));
    fails(&format!("machines = [\"{other}\"]"), "machine");
}

#[test]
fn host_data() {
    passes(&format!("host_data = \"{}\"", "40".repeat(32)));
    fails(&format!("host_data = \"{}\"", "41".repeat(32)), "host data");
}

#[test]
fn technologies() {
    passes("technologies = [\"tdx\", \"snp\"]");
    fails("technologies = [\"tdx\"]", "technology");
}

#[test]
fn products() {
    passes("products = [\"Milan\"]");
    fails("products = [\"Genoa\", \"Turin\"]", "product");
}

#[test]
fn any_measurement() {
    let mut report = mint::report();
    put(&mut report, 0x090, &[0x77; 48]);
    let evidence = evidence(&mint::sign(report));
    let level = |text: &str| appraise(&submission(&evidence), &policy(text), &reference()).level();
    assert_eq!(level(""), Level::Rejected);
    assert_eq!(level("measurements = [\"any\"]"), Level::Simulated);
}

#[test]
fn minimum_tcb_by_kind() {
    // Where each kind of version stands in the report, and its part `snp`.
    for (kind, offset) in [("committed", 0x1e6), ("current", 0x03e), ("launch", 0x1f6)] {
        let text = format!("minimum_tcb.snp.{kind}.snp = 24");
        passes(&text);
        let verdict = appraise_report_with(&text, offset, &[23]);
        assert_eq!(failed(&verdict), ["TCB: snp"], "{kind}");
        for (other, other_offset) in [("committed", 0x1e6), ("current", 0x03e)] {
            if other != kind {
                let verdict = appraise_report_with(&text, other_offset, &[23]);
                assert_eq!(failed(&verdict), [""; 0], "{kind} with less {other}");
            }
        }
    }
    passes("minimum_tcb.snp.reported.snp = 24");
    fails("minimum_tcb.snp.reported.snp = 25", "TCB: snp");
}

#[test]
fn revocation() {
    passes("revocation = \"if-available\"");
    fails("revocation = \"demand\"", "revocation");
}

#[test]
fn rules_for_what_only_one_technology_has() {
    for (rule, check) in [
        (
            "snp.required_flags = [\"single_socket\"]",
            "snp: single_socket",
        ),
        ("snp.minimum.guest_svn = 4294967295", "snp: guest_svn"),
        ("snp.numbers.guest_svn = [4294967294]", "snp: guest_svn"),
        ("snp.values.image_id = [\"00\"]", "snp: image_id"),
    ] {
        fails(rule, check);
    }
    let smt = (1u64 << 17 | 1 << 16).to_le_bytes();
    let rule = "snp.forbidden_flags = [\"smt_allowed\"]";
    let verdict = appraise_report_with(rule, 0x008, &smt);
    assert_eq!(failed(&verdict), ["snp: smt_allowed"]);
    let required = "snp.required_flags = [\"smt_allowed\"]";
    assert_eq!(
        appraise_report_with(required, 0x008, &smt).level(),
        Level::Simulated
    );
    for rule in ["minimum.guest_svn = 7", "numbers.guest_svn = [6, 7]"] {
        let verdict = appraise_report_with(&format!("snp.{rule}"), 0x004, &[7, 0, 0, 0]);
        assert_eq!(failed(&verdict), [""; 0], "{rule}");
    }
    let image = format!("snp.values.image_id = [\"{}\"]", "5a".repeat(16));
    let verdict = appraise_report_with(&image, 0x020, &[0x5a; 16]);
    assert_eq!(failed(&verdict), [""; 0]);
}

#[test]
fn rules_for_another_technology_do_not_matter() {
    passes("tdx.required_flags = [\"sept_ve_disable\"]\nsgx.minimum.isv_svn = 9");
}

#[test]
fn evidence_alone_gives_no_permission() {
    let evidence = evidence(&mint::sign(mint::report()));
    let bare = |report_data| BareEvidence {
        evidence: &evidence,
        report_data,
        now: UnixTime(mint::NOW),
    };
    let judge = |bare: &BareEvidence<'_>| appraise_evidence(bare, &policy(""), &reference());
    let verdict = judge(&bare(None));
    assert_eq!(verdict.level(), Level::Simulated);
    assert!(verdict.accept().is_err());
    assert_eq!(judge(&bare(Some(&REPORT_DATA))).level(), Level::Simulated);
    for other in [&[0xd4; 63][..], &[0xd5; 64]] {
        assert_eq!(failed(&judge(&bare(Some(other)))), ["report data"]);
    }
}

#[test]
fn simulation() {
    let evidence = evidence(&mint::sign(mint::report()));
    for text in ["", "simulation = \"deny\""] {
        let policy = Policy::from_toml(text).unwrap();
        let verdict = appraise(&submission(&evidence), &policy, &reference());
        assert_eq!(failed(&verdict), ["trust anchor"]);
        assert_eq!(verdict.level(), Level::Rejected);
    }
}

#[test]
fn simulation_roots() {
    let anchor = hex::encode(evidence(&mint::sign(mint::report())).summary().anchor);
    passes(&format!("simulation_roots = [\"{anchor}\"]"));
    let other = format!("simulation_roots = [\"{}\"]", "00".repeat(48));
    fails(&other, "trust anchor");
}

fn passes(text: &str) {
    let verdict = appraise_report_with(text, 0, &[]);
    assert_eq!(failed(&verdict), [""; 0], "{text}\n{verdict}");
    assert_eq!(verdict.level(), Level::Simulated);
}

fn fails(text: &str, check: &str) {
    let verdict = appraise_report_with(text, 0, &[]);
    assert_eq!(failed(&verdict), [check], "{text}\n{verdict}");
    assert_eq!(verdict.level(), Level::Rejected);
}

/// Appraises the mint's report, with one field changed, under a policy that allows
/// simulation and says `text`.
fn appraise_report_with(text: &str, offset: usize, value: &[u8]) -> Verdict {
    let mut report = mint::report();
    put(&mut report, offset, value);
    let evidence = evidence(&mint::sign(report));
    appraise(&submission(&evidence), &policy(text), &reference())
}

fn policy(text: &str) -> Policy {
    Policy::from_toml(&format!("simulation = \"allow\"\n{text}")).unwrap()
}

fn reference() -> ReferenceValues {
    ReferenceValues::new(vec![MEASUREMENT])
}

pub fn submission(evidence: &Evidence) -> Submission<'_> {
    Submission {
        evidence: Ok(evidence),
        format: EvidenceFormat::SnpReport,
        platform: Platform::Snp,
        report_data: &REPORT_DATA,
        now: UnixTime(mint::NOW),
    }
}

pub fn evidence(report: &[u8]) -> Evidence {
    let issued = Chain::new().issue();
    let certificates = Certificates {
        endorsement_key: &issued.endorsement,
        signing_authority: &issued.authority,
        root: &issued.root,
    };
    let now = UnixTime(mint::NOW);
    snp::verify_either(report, &certificates, &SimulatedRoots::Any, now).unwrap()
}
