//! Checks of what a Keep claims to be.

use enarx_owner_evidence::{AnchorKind, Evidence, Summary, Technology};
use enarx_wire_launch::Platform;

use crate::{AcceptedMeasurement, Check, source};

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

    /// In a confidential VM the evidence is the VM's: whatever runs as its root can make any
    /// claims. So the policy must say which VM's word counts.
    pub(super) fn confidential_vm(&self, keep: &Submission<'_>) -> Option<Check> {
        if keep.platform != Platform::Cvm {
            return None;
        }
        let measured = |summary: &Summary| {
            let mut accepted = self.policy.measurements.iter();
            accepted.any(|one| match one {
                AcceptedMeasurement::Value(value) => *value == summary.measurement,
                _ => false,
            })
        };
        let rules = self.policy.rules.get(&self.technology);
        let listed = |name: &&str| rules.is_some_and(|rules| rules.values.contains_key(*name));
        // A trust domain's launch measurement is that of its firmware alone.
        let (registers, expected): (&[&str], _) = match self.technology {
            Technology::Tdx => (
                &["rtmr1", "rtmr2"],
                "named in the policy by its measurement, and its kernel by rtmr1 and rtmr2",
            ),
            _ => (&[], "named in the policy by its measurement"),
        };
        let named = self.holds(|summary| measured(summary) && registers.iter().all(listed));
        let word = if named { "named" } else { "not named" };
        Some(
            check("confidential VM", named)
                .expected(expected)
                .actual(format!(
                    "{word}; trusted beside the Keep are its firmware, kernel and image, and \
                     whoever is root in it"
                ))
                .source(source::CONFIDENTIAL_VM)
                .remedy("list the VM's launch measurement in measurements, and for TDX its registers as tdx.values.rtmr1 and tdx.values.rtmr2; neither keep-image nor any says which VM it is"),
        )
    }
}
