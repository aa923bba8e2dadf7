//! An SEV-SNP report, and certificates that a host presents with it.
#![no_main]

use enarx_owner_evidence::{
    UnixTime,
    snp::{Certificates, Report, SimulatedRoots, verify_either},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Report::parse(bytes);
    // The input is also cut into the four parts that a host sends.
    let quarter = bytes.len() / 4;
    let certificates = Certificates {
        endorsement_key: &bytes[..quarter],
        signing_authority: &bytes[quarter..2 * quarter],
        root: &bytes[2 * quarter..3 * quarter],
    };
    let now = UnixTime(1_800_000_000);
    let verified = verify_either(
        &bytes[3 * quarter..],
        &certificates,
        &SimulatedRoots::Any,
        now,
    );
    assert!(verified.is_err(), "nobody signed this");
});
