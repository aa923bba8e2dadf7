//! Appraisal of evidence of real processors, and of evidence minted for one policy key
//! at a time.

#[path = "../../../evidence/tests/evidence/mint.rs"]
#[expect(dead_code, reason = "what only the tests of enarx-owner-evidence use")]
mod mint;
#[path = "../../../evidence/tests/evidence/vectors.rs"]
#[expect(dead_code, reason = "what only the tests of enarx-owner-evidence use")]
mod vectors;

mod corim;
mod ear;
mod foreign;
mod keys;
mod real;
mod verdicts;

use enarx_owner_appraisal::Verdict;

/// The names of the checks that did not pass.
fn failed(verdict: &Verdict) -> Vec<&str> {
    let failed = verdict.checks().iter().filter(|check| !check.passed);
    failed.map(|check| &*check.name).collect()
}
