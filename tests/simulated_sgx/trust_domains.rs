//! Quotes of trust domains: their bytes, their verification, and verdicts on them.

use enarx_host_simulator::{
    sgx::{Machine, QuoteError},
    tdx::{TD_REPORT_SIZE, TrustDomain},
};
use enarx_owner_appraisal::{Level, Profile, ReferenceValues, Submission, appraise};
use enarx_owner_evidence::{
    AnchorKind, Evidence, SimulatedRoots, Technology,
    dcap::{CollateralBytes, EitherCollateral, Error, Kind, Quote},
    materials::{Materials, Roots},
};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    machine::{REPORT_DATA, machine, now, other_machine},
    quotes::verified_collateral,
};

/// Bytes of a quote before its certificates in PEM: header, body, size, signature, key, the
/// type and size of the quoting enclave's report, that with its signature, what that adds, and
/// the type and size of the chain.
const CHAIN: usize = 48 + 584 + 4 + 64 + 64 + 6 + 384 + 64 + 34 + 6;

fn domain() -> TrustDomain {
    TrustDomain {
        attributes: TrustDomain::SEPT_VE_DISABLE,
        xfam: 0xe7,
        mr_td: [0x70; 48],
        mr_config_id: [0x71; 48],
        mr_owner: [0x72; 48],
        mr_owner_config: [0x73; 48],
        rtmrs: [[0x80; 48], [0x81; 48], [0x82; 48], [0x83; 48]],
    }
}

fn quote(machine: &Machine, domain: &TrustDomain) -> Vec<u8> {
    let report = machine.report_trust_domain(domain, &REPORT_DATA);
    machine.quote_trust_domain(&report).unwrap()
}

fn collateral(machine: &Machine) -> EitherCollateral {
    let endorsements = machine.endorsements();
    let certificates = [&endorsements.root[..], &endorsements.tcb_signing];
    let bytes = CollateralBytes {
        tcb_info: &endorsements.tdx_tcb_info,
        qe_identity: &endorsements.tdx_qe_identity,
        certificates: &certificates,
        pck_revocations: &endorsements.pck_revocations,
        root_revocations: &endorsements.root_revocations,
    };
    EitherCollateral::verify(&bytes, &SimulatedRoots::Any, now()).unwrap()
}

fn verify(quote: &[u8]) -> Result<Evidence, Error> {
    collateral(machine()).verify_quote(quote, now())
}

fn value<'a>(evidence: &'a Evidence, name: &str) -> &'a [u8] {
    let mut values = evidence.summary().values.iter();
    &values.find(|value| value.name == name).unwrap().bytes
}

#[test]
fn a_quote_says_what_the_trust_domain_is_and_that_it_is_simulated() {
    let evidence = verify(&quote(machine(), &domain())).unwrap();
    assert_eq!(evidence.kind(), AnchorKind::Simulated);
    let summary = evidence.summary();
    assert_eq!(summary.technology, Technology::Tdx);
    assert_eq!(summary.measurement, domain().mr_td);
    assert_eq!(summary.report_data, REPORT_DATA);
    assert_eq!(summary.host_data.as_deref(), Some(&[0x71; 48][..]));
    assert!(!summary.debug && !summary.migratable);
    assert_eq!(summary.tcb_status, Some("UpToDate"));
    let on = |name: &str| {
        summary
            .flags
            .iter()
            .any(|flag| flag.name == name && flag.on)
    };
    assert!(on("sept_ve_disable") && !on("debug"));
    assert_eq!(value(&evidence, "mrowner"), [0x72; 48]);
    assert_eq!(value(&evidence, "mrownerconfig"), [0x73; 48]);
    for (name, byte) in [
        ("rtmr0", 0x80),
        ("rtmr1", 0x81),
        ("rtmr2", 0x82),
        ("rtmr3", 0x83),
    ] {
        assert_eq!(value(&evidence, name), [byte; 48]);
    }
    let debugged = TrustDomain {
        attributes: domain().attributes | TrustDomain::DEBUG,
        ..domain()
    };
    assert!(
        verify(&quote(machine(), &debugged))
            .unwrap()
            .summary()
            .debug
    );
}

/// The offsets of *Intel TDX DCAP Quoting Library API*, appendix A.3.
#[test]
fn quotes_are_version_four_byte_by_byte() {
    let quote = quote(machine(), &domain());
    assert_eq!(quote[..12], [4, 0, 2, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(quote[12..16], [0x93, 0x9A, 0x72, 0x33]);
    let body = &quote[48..632];
    assert_eq!(body[..4], [5, 1, 2, 0]);
    assert_eq!(body[112..120], [0; 8]);
    assert_eq!(body[120..128], [0, 0, 0, 0x10, 0, 0, 0, 0]);
    assert_eq!(body[128..136], [0xe7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(body[136..184], [0x70; 48]);
    assert_eq!(body[328..376], [0x80; 48]);
    assert_eq!(body[520..], REPORT_DATA);
    let size = |at: usize| u32::from_le_bytes(quote[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(size(632), quote.len() - 636);
    // The quoting enclave's report as certification data, and the chain within that.
    assert_eq!(quote[764..766], [6, 0]);
    assert_eq!(size(766), quote.len() - 770);
    assert_eq!(quote[CHAIN - 6..CHAIN - 4], [5, 0]);
    assert_eq!(size(CHAIN - 4), quote.len() - CHAIN);
    assert!(quote[CHAIN..].starts_with(b"-----BEGIN CERTIFICATE-----"));
    let parsed = Quote::parse(&quote).unwrap();
    assert_eq!((parsed.version(), parsed.body().kind()), (4, Kind::Tdx));
}

#[test]
fn no_bit_of_a_quote_can_be_changed() {
    let quote = quote(machine(), &domain());
    let collateral = collateral(machine());
    for at in 0..quote.len() {
        let mut changed = quote.clone();
        changed[at] ^= 1 << (at % 8);
        if collateral.verify_quote(&changed, now()).is_ok() {
            // White space between the lines of a certificate is no part of it, nor is what
            // stands behind its last line; the zero byte behind the chain may be a space.
            let is_last = at == quote.len() - 1;
            assert!(at >= CHAIN && (is_last || quote[at] == b'\n'), "byte {at}");
            let is_behind = is_last || quote[..at].ends_with(b"-----END CERTIFICATE-----");
            assert!(is_behind || changed[at].is_ascii_control(), "byte {at}");
        }
    }
}

#[test]
fn only_whole_reports_of_this_machine_are_quoted() {
    let report = machine().report_trust_domain(&domain(), &REPORT_DATA);
    machine().quote_trust_domain(&report).unwrap();
    // The bytes that are reserved before the authentication code are covered by it, those
    // behind the module's part are covered by nothing and quoted by nothing.
    for at in (0..TD_REPORT_SIZE).filter(|at| !(495..512).contains(at)) {
        let mut changed = report;
        changed[at] ^= 1;
        let refused = machine().quote_trust_domain(&changed);
        assert!(matches!(refused, Err(QuoteError::Unauthentic)), "byte {at}");
    }
    let refused = other_machine().quote_trust_domain(&report);
    assert!(matches!(refused, Err(QuoteError::Unauthentic)));
    for size in [0, TD_REPORT_SIZE - 1] {
        let refused = machine().quote_trust_domain(&report[..size]);
        assert!(matches!(refused, Err(QuoteError::Size { actual, .. }) if actual == size));
    }
}

#[test]
fn collateral_is_of_one_machine_and_one_technology() {
    let quote = quote(machine(), &domain());
    let refused = collateral(other_machine()).verify_quote(&quote, now());
    assert_eq!(refused.unwrap_err(), Error::UntrustedRoot);
    let of_enclaves = verified_collateral(machine().endorsements(), &SimulatedRoots::Any).unwrap();
    let refused = of_enclaves.verify_quote(&quote, now());
    assert_eq!(
        refused.unwrap_err(),
        Error::CollateralKind { quote: Kind::Tdx }
    );
    let mut mixed = machine().endorsements().clone();
    mixed.tcb_info = mixed.tdx_tcb_info.clone();
    let refused = verified_collateral(&mixed, &SimulatedRoots::Any);
    assert_eq!(refused.unwrap_err(), Error::CollateralKinds);
}

#[test]
fn files_are_told_apart_and_verified() {
    let endorsements = machine().endorsements();
    let mut materials = Materials::default();
    materials.add(&quote(machine(), &domain())).unwrap();
    for bytes in [
        &endorsements.root,
        &endorsements.tcb_signing,
        // Those of enclaves too, which must not be taken.
        &endorsements.tcb_info,
        &endorsements.qe_identity,
        &endorsements.tdx_tcb_info,
        &endorsements.tdx_qe_identity,
        &endorsements.pck_revocations,
        &endorsements.root_revocations,
    ] {
        materials.add(bytes).unwrap();
    }
    let roots = Roots {
        dcap: SimulatedRoots::Any,
        ..Roots::genuine()
    };
    let evidence = materials.verify(&roots, now()).unwrap();
    assert_eq!(evidence.kind(), AnchorKind::Simulated);
    materials.verify(&Roots::genuine(), now()).unwrap_err();
}

#[test]
fn a_quote_proves_only_keeps_that_it_can_be_of() {
    let evidence = verify(&quote(machine(), &domain())).unwrap();
    for platform in Platform::ALL {
        let verdict = appraise(
            &Submission {
                evidence: Ok(&evidence),
                format: EvidenceFormat::TdxQuote,
                platform,
                report_data: &REPORT_DATA,
                now: now(),
            },
            &Profile::Simulation.policy(),
            &ReferenceValues::new([domain().mr_td]),
        );
        let failed = verdict.checks().iter().filter(|check| !check.passed);
        let failed: Vec<_> = failed.map(|check| &*check.name).collect();
        let (expected, level): (&[&str], _) = match platform {
            Platform::Tdx => (&[], Level::Simulated),
            // It could be of any, as this policy names none.
            Platform::Cvm => (&["confidential VM"], Level::Rejected),
            _ => (&["platform evidence"], Level::Rejected),
        };
        assert_eq!(
            (&failed[..], verdict.level()),
            (expected, level),
            "{platform}"
        );
    }
}
