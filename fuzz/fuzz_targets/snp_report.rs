//! An SEV-SNP report, and what a host presents with it: certificates and a revocation list.
#![no_main]

mod parts;

use enarx_owner_evidence::{
    UnixTime,
    snp::{Certificates, EitherEndorsementKey, Report, SimulatedRoots, certificates_in_table},
};
use parts::part;

/// Bytes of a report that are signed.
const SIGNED: usize = 0x2a0;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = certificates_in_table(bytes);
    let mut rest = bytes;
    let report = part(&mut rest);
    let certificates = Certificates {
        endorsement_key: part(&mut rest),
        signing_authority: part(&mut rest),
        root: part(&mut rest),
    };
    let list = Some(part(&mut rest)).filter(|list| !list.is_empty());
    let _ = Report::parse(report);
    let now = UnixTime(1_800_000_000);
    let simulated = SimulatedRoots::Any;
    let key = EitherEndorsementKey::verify_unrevoked(&certificates, list, &simulated, now);
    let Ok(key) = key else {
        return;
    };
    // What is accepted is accepted unaltered alone.
    if key.verify_report(report, now).is_ok() {
        let mut altered = report.to_vec();
        altered[bytes.len() % SIGNED] ^= 1;
        assert!(key.verify_report(&altered, now).is_err());
    }
});
