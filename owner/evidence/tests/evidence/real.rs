//! Evidence of real processors.

use enarx_owner_evidence::{
    AnchorKind, CertificateError, Genuine, UnixTime, VerifiedEvidence,
    snp::{
        self, AMD_ROOTS, CertificateRole, Certificates, EndorsementKey, Error, GenuineRoots,
        KeyKind, Product, ReportVersion, SigningKey, SimulatedRoots,
    },
};

use crate::vectors::{self, Case};

const DAY: u64 = 24 * 60 * 60;

#[test]
fn every_case_gets_its_verdict() {
    let Some((cases, derived, not_expressible)) = vectors::cases() else {
        return;
    };
    let mut agreed = 0;
    for case in &cases {
        let result = verify(case, &case.report, case.now);
        match case.verdict.as_str() {
            "ACCEPT" => accepted(
                case,
                &result.unwrap_or_else(|error| panic!("{}: {error}", case.id)),
            ),
            // The signature and the chain are good; the debug bit is for the policy.
            "REJECT(debug)" => {
                let evidence = result.unwrap_or_else(|error| panic!("{}: {error}", case.id));
                assert!(evidence.summary().debug, "{}", case.id);
                accepted(case, &evidence);
            }
            "REJECT" => {
                let error = result.expect_err(&case.id);
                println!("{}: {error}\n    expected: {}", case.id, case.why);
            }
            other => panic!("unknown verdict {other}"),
        }
        agreed += 1;
    }
    for change in &derived {
        let case = cases.iter().find(|case| case.id == change.case).unwrap();
        let report = change.apply(&case.report);
        let error = verify(case, &report, case.now).expect_err(&change.what);
        println!("{}, {} changed: {error}", change.case, change.what);
    }
    println!(
        "{agreed} of {} cases and {} of {} changed reports agree; {not_expressible} case(s) need \
         files of another kind",
        cases.len(),
        derived.len(),
        derived.len(),
    );
}

#[test]
fn expired_endorsements_say_so() {
    for id in [
        "snp-trustee-milan-v3-vlek-aws-expired",
        "snp-trustee-history-milan-v2-vlek-aws-expired",
    ] {
        let Some(case) = vectors::case(id) else {
            return;
        };
        let error = verify(&case, &case.report, case.now).unwrap_err();
        let Error::Certificate { role, reason } = error else {
            panic!("{error}");
        };
        assert_eq!(role, CertificateRole::EndorsementKey);
        assert!(matches!(reason, CertificateError::Expired { .. }));
    }
}

#[test]
fn altered_certificates_say_so() {
    for id in [
        "snp-trustee-vcek-invalid-legacy",
        "snp-trustee-vcek-invalid-new",
    ] {
        let Some(case) = vectors::case(id) else {
            return;
        };
        assert_eq!(
            verify(&case, &case.report, case.now).unwrap_err(),
            Error::Certificate {
                role: CertificateRole::EndorsementKey,
                reason: CertificateError::Signature
            }
        );
    }
}

#[test]
fn no_report_verifies_with_a_bit_flipped() {
    for id in [
        "snp-trustee-milan-v2",
        "snp-trustee-milan-v3-vlek-aws",
        "snp-oak-turin-v5",
    ] {
        let Some(case) = vectors::case(id) else {
            return;
        };
        let key = endorsement_key(&case, case.now).unwrap();
        let mut report = case.report.clone();
        for bit in 0..report.len() * 8 {
            report[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify_report(&report, case.now).is_err(), "bit {bit}");
            report[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(key.verify_report(&report, case.now).is_ok());
    }
}

#[test]
fn no_certificate_verifies_with_a_bit_flipped() {
    let Some(case) = vectors::case("snp-oak-turin-v5") else {
        return;
    };
    let [authority, root, _] = &case.authorities;
    let chain = [&case.endorsement_key, authority, root];
    for position in 0..chain.len() {
        for byte in 0..chain[position].len() {
            let mut changed = chain.map(Clone::clone);
            changed[position][byte] ^= 1 << (byte % 8);
            let certificates = Certificates {
                endorsement_key: &changed[0],
                signing_authority: &changed[1],
                root: &changed[2],
            };
            let result = EndorsementKey::verify(&certificates, &GenuineRoots, case.now);
            assert!(result.is_err(), "certificate {position}, byte {byte}");
        }
    }
}

#[test]
fn shortened_inputs_are_refused_without_a_panic() {
    let Some(case) = vectors::case("snp-oak-genoa-v5") else {
        return;
    };
    let key = endorsement_key(&case, case.now).unwrap();
    for length in 0..case.report.len() {
        assert!(key.verify_report(&case.report[..length], case.now).is_err());
    }
    let [authority, root, _] = &case.authorities;
    for length in 0..case.endorsement_key.len() {
        let certificates = Certificates {
            endorsement_key: &case.endorsement_key[..length],
            signing_authority: authority,
            root,
        };
        assert!(EndorsementKey::verify(&certificates, &GenuineRoots, case.now).is_err());
    }
}

#[test]
fn fields_are_read_from_where_they_are() {
    let Some(case) = vectors::case("snp-oak-turin-v5") else {
        return;
    };
    let evidence = verify(&case, &case.report, case.now).unwrap();
    let report = evidence.snp_report().unwrap();
    assert_eq!(report.version, ReportVersion::V5);
    assert_eq!(report.signing_key, SigningKey::Vcek);
    assert_eq!(
        report.reported_tcb(Product::Turin).unwrap().to_string(),
        "fmc 0, bootloader 1, tee 0, snp 2, microcode 71"
    );
    let cpu = report.cpu.unwrap();
    assert_eq!((cpu.family, cpu.model, cpu.stepping), (0x1a, 0x02, 0x01));
    assert_eq!(report.current_version.to_string(), "1.55.61");
    assert_eq!(report.committed_version, report.current_version);
    assert!(report.platform_info.smt_enabled());
    assert!(report.platform_info.alias_check_complete());
    assert!(!report.platform_info.tio_enabled());
    assert_eq!(evidence.summary().anchor_name, "ARK-Turin");
    assert_eq!(
        evidence.summary().machine.as_deref(),
        Some(&report.chip_id[..])
    );
}

#[test]
fn a_vlek_endorses_no_chip() {
    let Some(case) = vectors::case("snp-trustee-milan-v3-vlek-aws") else {
        return;
    };
    let key = endorsement_key(&case, case.now).unwrap();
    assert_eq!((key.kind(), key.product()), (KeyKind::Vlek, Product::Milan));
    let evidence = key.verify_report(&case.report, case.now).unwrap();
    assert_eq!(evidence.summary().machine, None);
    assert_eq!(evidence.summary().privilege_level, Some(1));
}

#[test]
fn roots_of_amd_are_told_from_simulators() {
    let Some((cases, ..)) = vectors::cases() else {
        return;
    };
    let simulated = SimulatedRoots::Pinned(AMD_ROOTS.map(|root| root.key_digest).to_vec());
    for case in cases.iter().filter(|case| case.verdict == "ACCEPT") {
        let certificates = certificates(case, 0);
        let result = snp::verify(&case.report, &certificates, &simulated, case.now);
        assert!(matches!(result, Err(Error::UntrustedRoot { .. })));
        if let Ok(evidence) = snp::verify_either(&case.report, &certificates, &simulated, case.now)
        {
            assert_eq!(evidence.kind(), AnchorKind::Genuine);
        }
    }
}

/// Compares what was verified with what the case says, and tries the days around the
/// period in which it says the certificates hold.
fn accepted(case: &Case, evidence: &VerifiedEvidence<Genuine>) {
    let summary = evidence.summary();
    assert_eq!(
        hex::encode(&summary.measurement),
        case.fields["measurement"]
    );
    assert_eq!(
        hex::encode(&summary.report_data),
        case.fields["report_data"]
    );
    let period = case.fields["valid"].as_str().expect("a period");
    let (first, last) = period.split_once("..").expect("two days");
    let before = UnixTime(vectors::time(first).0 - 1);
    let after = UnixTime(vectors::time(last).0 + DAY);
    for outside in [before, after] {
        verify(case, &case.report, outside).expect_err("a time outside of the period");
        let key = endorsement_key(case, case.now).unwrap();
        assert_eq!(
            key.verify_report(&case.report, outside).unwrap_err(),
            Error::OutsideValidity { now: outside }
        );
    }
}

fn verify(case: &Case, report: &[u8], now: UnixTime) -> Result<VerifiedEvidence<Genuine>, Error> {
    endorsement_key(case, now)?.verify_report(report, now)
}

/// Verifies the chain over the ASK, or over the ASVK when the ASK is not the issuer.
fn endorsement_key(case: &Case, now: UnixTime) -> Result<EndorsementKey<Genuine>, Error> {
    let over_ask = EndorsementKey::verify(&certificates(case, 0), &GenuineRoots, now);
    match over_ask {
        Err(Error::Certificate {
            role: CertificateRole::EndorsementKey,
            reason: CertificateError::IssuerName,
        }) => EndorsementKey::verify(&certificates(case, 2), &GenuineRoots, now),
        other => other,
    }
}

fn certificates(case: &Case, authority: usize) -> Certificates<'_> {
    Certificates {
        endorsement_key: &case.endorsement_key,
        signing_authority: &case.authorities[authority],
        root: &case.authorities[1],
    }
}
