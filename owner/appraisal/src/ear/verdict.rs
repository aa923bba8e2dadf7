//! Verdicts as appraisals.

use crate::{Level, Verdict};

use super::{Appraisal, TrustClaim, TrustVector};

/// Which claim each check speaks for (draft-ietf-rats-ar4si section 3.1); a check that is
/// not named here speaks for the configuration.
const CLAIMS: [(&str, Claim); 15] = [
    ("evidence", |vector| &mut vector.instance_identity),
    ("trust anchor", |vector| &mut vector.instance_identity),
    ("report data", |vector| &mut vector.instance_identity),
    ("technology", |vector| &mut vector.hardware),
    ("platform", |vector| &mut vector.hardware),
    ("platform evidence", |vector| &mut vector.hardware),
    ("product", |vector| &mut vector.hardware),
    ("machine", |vector| &mut vector.hardware),
    ("revocation", |vector| &mut vector.hardware),
    ("collateral age", |vector| &mut vector.hardware),
    ("TCB status", |vector| &mut vector.hardware),
    ("advisories", |vector| &mut vector.hardware),
    ("measurement", |vector| &mut vector.executables),
    ("confidential VM", |vector| &mut vector.executables),
    ("debug", |vector| &mut vector.runtime_opaque),
];

type Claim = fn(&mut TrustVector) -> &mut TrustClaim;

impl Verdict {
    /// The verdict as an appraisal for others (draft-ietf-rats-ear). Of a simulated TEE it
    /// says that its hardware must not be trusted, whatever the policy allows.
    #[must_use]
    pub fn to_appraisal(&self) -> Appraisal {
        let mut vector = TrustVector::default();
        for check in self.checks() {
            // Where anything would do, nobody has looked, and there is nothing to claim.
            if check.passed && check.expected.split(", ").any(|one| one == "any") {
                continue;
            }
            let named = CLAIMS.iter().find(|(name, _)| *name == check.name);
            let claim: Claim = match named {
                Some((_, claim)) => *claim,
                None if check.name.starts_with("TCB: ") => |vector| &mut vector.hardware,
                None => |vector| &mut vector.configuration,
            };
            let found = if check.passed {
                TrustClaim::AFFIRMED
            } else if check.name == "evidence" {
                TrustClaim::CRYPTOGRAPHY_FAILED
            } else {
                TrustClaim::CONTRAINDICATED
            };
            let claim = claim(&mut vector);
            if claim.0 < found.0 {
                *claim = found;
            }
        }
        if self.level() == Level::Simulated {
            vector.hardware = TrustClaim::UNRECOGNIZED;
        }
        let policies = match self.policy() {
            "" => Vec::new(),
            policy => vec![policy.to_owned()],
        };
        Appraisal::new(vector, policies)
    }
}
