//! Verification of quotes.

use aws_lc_rs::digest::{SHA384, digest};
use enarx_host_simulator::sgx::Endorsements;
use enarx_owner_evidence::{
    AnchorKind, Evidence, SimulatedRoots, Technology,
    dcap::{
        Collateral, CollateralBytes, EitherCollateral, Error, GenuineRoots, SIMULATED_ROOT_NAME,
    },
    materials::{Materials, Roots},
};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

use crate::machine::{
    HOST_DATA, MRENCLAVE, REPORT_DATA, enclave, machine, now, other_machine, parts, quote,
};

/// Bytes of a quote before its certificates in PEM.
const CHAIN: usize = 1052;

pub fn collateral<'a>(
    endorsements: &'a Endorsements,
    certificates: &'a [&'a [u8]],
) -> CollateralBytes<'a> {
    CollateralBytes {
        tcb_info: &endorsements.tcb_info,
        qe_identity: &endorsements.qe_identity,
        certificates,
        pck_revocations: &endorsements.pck_revocations,
        root_revocations: &endorsements.root_revocations,
    }
}

pub fn verified_collateral(
    endorsements: &Endorsements,
    roots: &SimulatedRoots,
) -> Result<EitherCollateral, Error> {
    let certificates = [&endorsements.root[..], &endorsements.tcb_signing];
    EitherCollateral::verify(&collateral(endorsements, &certificates), roots, now())
}

/// Verifies a quote by an unchanged machine's endorsements.
pub fn verify(quote: &[u8]) -> Result<Evidence, Error> {
    verified_collateral(machine().endorsements(), &SimulatedRoots::Any)?.verify_quote(quote, now())
}

fn good_quote() -> Vec<u8> {
    quote(machine(), &enclave(), &REPORT_DATA)
}

fn root_digest() -> [u8; 48] {
    let root = Certificate::from_der(&machine().endorsements().root).unwrap();
    let key = root.tbs_certificate().subject_public_key_info();
    let digest = digest(&SHA384, &key.to_der().unwrap());
    digest.as_ref().try_into().unwrap()
}

#[test]
fn a_quote_says_what_the_enclave_is_and_that_it_is_simulated() {
    let evidence = verify(&good_quote()).unwrap();
    assert_eq!(evidence.kind(), AnchorKind::Simulated);
    let summary = evidence.summary();
    assert_eq!(summary.technology, Technology::Sgx);
    assert_eq!(summary.measurement, MRENCLAVE);
    assert_eq!(summary.report_data, REPORT_DATA);
    let host_data = summary.host_data.as_deref().unwrap();
    assert_eq!(
        (&host_data[..32], &host_data[32..]),
        (&HOST_DATA[..], &[0; 32][..])
    );
    assert!(!summary.debug);
    assert_eq!(summary.tcb_status, Some("UpToDate"));
    assert!(summary.advisories.is_empty() && summary.revocation_checked);
    assert_eq!(summary.anchor, root_digest());
    assert_eq!(summary.anchor_name, SIMULATED_ROOT_NAME);
    let machine = summary.machine.clone().unwrap();
    let other = quote(other_machine(), &enclave(), &REPORT_DATA);
    let endorsements = other_machine().endorsements();
    let other = verified_collateral(endorsements, &SimulatedRoots::Any)
        .unwrap()
        .verify_quote(&other, now())
        .unwrap();
    assert_ne!(other.summary().machine, Some(machine));
}

#[test]
fn no_bit_of_a_quote_can_be_changed() {
    let quote = good_quote();
    let collateral = verified_collateral(machine().endorsements(), &SimulatedRoots::Any).unwrap();
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
    for length in 0..quote.len() - 1 {
        assert!(
            collateral.verify_quote(&quote[..length], now()).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn only_roots_that_are_allowed_vouch() {
    let (quote, endorsements) = (good_quote(), machine().endorsements());
    let verify = |roots| verified_collateral(endorsements, &roots)?.verify_quote(&quote, now());
    for (roots, accepted) in [
        (SimulatedRoots::Any, true),
        (SimulatedRoots::Pinned(vec![root_digest()]), true),
        (SimulatedRoots::Pinned(vec![[7; 48]]), false),
        (SimulatedRoots::None, false),
    ] {
        assert_eq!(verify(roots.clone()).is_ok(), accepted, "{roots:?}");
    }
    let certificates = [&endorsements.root[..], &endorsements.tcb_signing];
    let bytes = collateral(endorsements, &certificates);
    Collateral::verify(&bytes, GenuineRoots, now()).unwrap_err();
}

#[test]
fn another_machines_root_does_not_vouch_for_this_one() {
    let other = other_machine().endorsements();
    let collateral = verified_collateral(other, &SimulatedRoots::Any).unwrap();
    let error = collateral.verify_quote(&good_quote(), now()).unwrap_err();
    assert_eq!(error, Error::UntrustedRoot);
}

#[test]
fn each_endorsement_is_needed_whole_and_of_this_machine() {
    let quote = good_quote();
    let verify = |endorsements: &Endorsements| {
        verified_collateral(endorsements, &SimulatedRoots::Any)?.verify_quote(&quote, now())
    };
    let good = machine().endorsements();
    verify(good).unwrap();
    let mut other = other_machine().endorsements().clone();
    let others = parts(&mut other).map(|(_, bytes)| bytes.clone());
    for (index, other) in others.into_iter().enumerate() {
        type Change = fn(&mut Vec<u8>);
        let changes: [Change; 4] = [
            |bytes| bytes.clear(),
            |bytes| bytes.truncate(bytes.len() / 2),
            |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            },
            |bytes| {
                let last = bytes.len() - 5;
                bytes[last] ^= 1;
            },
        ];
        for change in changes {
            let mut endorsements = good.clone();
            let (name, bytes) = parts(&mut endorsements).into_iter().nth(index).unwrap();
            change(bytes);
            assert!(verify(&endorsements).is_err(), "{name}");
        }
        let mut endorsements = good.clone();
        let (name, bytes) = parts(&mut endorsements).into_iter().nth(index).unwrap();
        *bytes = other;
        assert!(verify(&endorsements).is_err(), "{name} of another machine");
    }
}

#[test]
fn files_are_told_apart_and_verified() {
    let mut endorsements = machine().endorsements().clone();
    let mut materials = Materials::default();
    materials.add(&good_quote()).unwrap();
    for (name, bytes) in parts(&mut endorsements) {
        let found = materials.add(bytes).unwrap();
        assert_eq!(found.len(), 1, "{name}");
    }
    let roots = Roots {
        dcap: SimulatedRoots::Any,
        ..Roots::genuine()
    };
    let evidence = materials.verify(&roots, now()).unwrap();
    assert_eq!(evidence.kind(), AnchorKind::Simulated);
    materials.verify(&Roots::genuine(), now()).unwrap_err();
}
