//! Checks of what a Keep claims to be.

use enarx_owner_evidence::{AnchorKind, Evidence, Technology};
use enarx_wire_launch::Platform;

use crate::{Check, source};

use super::{Appraisal, Submission, check};

impl Appraisal<'_> {
    pub(super) fn platform_allowed(&self, keep: &Submission<'_>) -> Check {
        let platform = keep.platform;
        let names: Vec<_> = self
            .policy
            .platforms
            .iter()
            .map(|one| one.as_str())
            .collect();
        check("platform", self.policy.platforms.contains(&platform))
            .expected(names.join(", "))
            .actual(platform.as_str())
            .source(source::PLATFORM_POLICY)
            .remedy("start the Keep with an allowed backend, or add the platform to the policy")
    }

    /// A Keep's claims are measured software's own, yet what kind of Keep it is must not
    /// contradict the hardware that speaks for it.
    pub(super) fn platform_proven(&self, keep: &Submission<'_>) -> Check {
        let provable = |evidence: &Evidence| -> &[Platform] {
            match (evidence.summary().technology, evidence.kind()) {
                (Technology::Snp, AnchorKind::Genuine) => &[Platform::Snp, Platform::Cvm],
                (Technology::Snp, AnchorKind::Simulated) => &[
                    Platform::Process,
                    Platform::Kvm,
                    Platform::Snp,
                    Platform::Cvm,
                ],
                (Technology::Sgx, _) => &[Platform::Sgx],
                (Technology::Tdx, _) => &[Platform::Tdx, Platform::Cvm],
                (Technology::Cca, _) => &[Platform::Cvm],
                (Technology::Nitro | Technology::Nvidia, _) => &[],
            }
        };
        let provable = self.evidence.map(provable).unwrap_or_default();
        let names: Vec<_> = provable.iter().map(|platform| platform.as_str()).collect();
        let proven = provable.contains(&keep.platform);
        let passed = proven && self.holds(|summary| summary.technology == self.technology);
        check("platform evidence", passed)
            .expected(self.describe(|_| names.join(", ")))
            .actual(keep.platform.as_str())
            .source(source::PLATFORM_EVIDENCE)
            .remedy("the Keep claims a platform that this evidence cannot prove: do not trust it")
    }
}
