//! The appraisal itself.

use core::error::Error;

use enarx_owner_evidence::{AnchorKind, Evidence, Summary, TcbComponent};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    AcceptedMeasurement, Check, Permission, Policy, ReferenceValues, Verdict,
    source::{self, Sources},
};

/// What a Keep offers, with what the owner knows of it.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The evidence once verified, or why it did not verify.
    pub evidence: Result<&'a Evidence, &'a dyn Error>,
    /// The format of the evidence, according to the Keep's claims.
    pub format: EvidenceFormat,
    /// The platform, according to the Keep's claims.
    pub platform: Platform,
    /// The digest of the Keep's claims, computed by the owner.
    pub report_data: &'a [u8; 64],
}

/// Appraises a Keep: makes every check, whatever the others say, and sums them up.
#[must_use]
pub fn appraise(
    submission: &Submission<'_>,
    policy: &Policy,
    reference: &ReferenceValues,
) -> Verdict {
    let appraisal = Appraisal {
        submission,
        policy,
        reference,
        sources: source::of(submission.format),
    };
    let kind = submission.evidence.ok().map(Evidence::kind);
    Verdict::new(
        &policy.name,
        kind,
        *submission.report_data,
        appraisal.checks(),
    )
}

struct Appraisal<'a> {
    submission: &'a Submission<'a>,
    policy: &'a Policy,
    reference: &'a ReferenceValues,
    sources: &'static Sources,
}

impl Appraisal<'_> {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![
            self.signature(),
            self.anchor(),
            self.report_data(),
            self.platform_allowed(),
            self.platform_proven(),
            self.measurement(),
            self.debug(),
            self.migration_agent(),
        ];
        checks.extend(self.minimum_tcb());
        checks.extend([self.privilege(), self.machine(), self.host_data()]);
        checks
    }

    fn signature(&self) -> Check {
        let (actual, passed) = match self.submission.evidence {
            Ok(evidence) => (verified(evidence.summary()), true),
            Err(error) => (error.to_string(), false),
        };
        check("evidence", passed)
            .expected("signed by an endorsed key, and unchanged")
            .actual(actual)
            .source(self.sources.signature)
            .remedy("ask the host for fresh evidence and certificates; if it cannot give them, do not trust it")
    }

    fn anchor(&self) -> Check {
        let expected = match (self.policy.simulation, &self.policy.simulation_roots) {
            (Permission::Deny, _) => "genuine".to_owned(),
            (Permission::Allow, None) => "genuine or simulated".to_owned(),
            (Permission::Allow, Some(pins)) => {
                format!("genuine, or simulated under {}", list(pins))
            }
        };
        let allowed = |evidence: &Evidence| match (evidence.kind(), self.policy.simulation) {
            (AnchorKind::Genuine, _) => true,
            (AnchorKind::Simulated, Permission::Deny) => false,
            (AnchorKind::Simulated, Permission::Allow) => self
                .policy
                .simulation_roots
                .as_ref()
                .is_none_or(|pins| pins.contains(&evidence.summary().anchor)),
        };
        let evidence = self.submission.evidence.ok();
        check("trust anchor", evidence.is_some_and(allowed))
            .expected(expected)
            .actual(self.describe(|summary| {
                let kind = evidence.map_or("", |evidence| evidence.kind().as_str());
                let digest = hex::encode(summary.anchor);
                format!("{kind}, {}, key {digest}", summary.anchor_name)
            }))
            .source(self.sources.anchor)
            .remedy("deploy to real hardware; for a trial, a policy with simulation = \"allow\" accepts a simulator")
    }

    fn report_data(&self) -> Check {
        let expected = self.submission.report_data;
        let passed = self.holds(|summary| summary.report_data == *expected);
        check("report data", passed)
            .expected(hex::encode(expected))
            .actual(self.describe(|summary| hex::encode(summary.report_data)))
            .source(self.sources.report_data)
            .remedy("the evidence is not for these claims: someone replayed it, or changed them on the way")
    }

    fn platform_allowed(&self) -> Check {
        let platform = self.submission.platform;
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
    fn platform_proven(&self) -> Check {
        let provable = |evidence: &Evidence| -> &[Platform] {
            match (evidence.summary().format, evidence.kind()) {
                (EvidenceFormat::SnpReport, AnchorKind::Genuine) => &[Platform::Snp, Platform::Cvm],
                (EvidenceFormat::SnpReport, AnchorKind::Simulated) => &[
                    Platform::Process,
                    Platform::Kvm,
                    Platform::Snp,
                    Platform::Cvm,
                ],
            }
        };
        let provable = self.submission.evidence.map(provable).unwrap_or_default();
        let names: Vec<_> = provable.iter().map(|platform| platform.as_str()).collect();
        let platform = self.submission.platform;
        let format = self
            .submission
            .evidence
            .ok()
            .map(|one| one.summary().format);
        let passed = provable.contains(&platform) && format == Some(self.submission.format);
        check("platform evidence", passed)
            .expected(self.describe(|_| names.join(", ")))
            .actual(platform.as_str())
            .source(source::PLATFORM_EVIDENCE)
            .remedy("the Keep claims a platform that this evidence cannot prove: do not trust it")
    }

    fn measurement(&self) -> Check {
        let accepted = |measurement: &[u8]| {
            self.policy.measurements.iter().any(|one| match one {
                AcceptedMeasurement::KeepImage => self.reference.contains(measurement),
                AcceptedMeasurement::Value(value) => value == measurement,
            })
        };
        let expected = self.policy.measurements.iter().map(|one| match one {
            AcceptedMeasurement::Value(value) => hex::encode(value),
            AcceptedMeasurement::KeepImage => match self.reference.measurements() {
                [] => "keep-image (no value can be computed for this platform)".to_owned(),
                values => format!("keep-image {}", list(values)),
            },
        });
        let expected: Vec<_> = expected.collect();
        check("measurement", self.holds(|summary| accepted(&summary.measurement)))
            .expected(expected.join(", "))
            .actual(self.describe(|summary| hex::encode(&summary.measurement)))
            .source(self.sources.measurement)
            .remedy("the host runs another Keep image or memory size: use the same version on both sides, or list the measurement in the policy")
    }

    fn debug(&self) -> Check {
        let (expected, allowed) = match self.policy.debug {
            Permission::Deny => ("off", false),
            Permission::Allow => ("off or on", true),
        };
        check("debug", self.holds(|summary| allowed || !summary.debug))
            .expected(expected)
            .actual(self.describe(|summary| on_or_off(summary.debug)))
            .source(self.sources.debug)
            .remedy("the host can read this Keep's memory: start it without debugging")
    }

    fn migration_agent(&self) -> Check {
        check("migration agent", self.holds(|summary| !summary.migratable))
            .expected("off")
            .actual(self.describe(|summary| on_or_off(summary.migratable)))
            .source(self.sources.migration_agent)
            .remedy("the host can move this Keep to another machine: start it without a migration agent")
    }

    fn minimum_tcb(&self) -> [Check; 5] {
        let minimum = &self.policy.minimum_tcb.snp;
        [
            ("bootloader", "TCB: bootloader", minimum.bootloader),
            ("tee", "TCB: tee", minimum.tee),
            ("snp", "TCB: snp", minimum.snp),
            ("microcode", "TCB: microcode", minimum.microcode),
            ("fmc", "TCB: fmc", minimum.fmc),
        ]
        .map(|(component, name, minimum)| self.component(component, name, minimum))
    }

    fn component(&self, component: &str, name: &'static str, minimum: Option<u8>) -> Check {
        let minimum = minimum.map(u64::from);
        let sufficient = |found: Option<&TcbComponent>| match (minimum, found) {
            (None, _) => true,
            (Some(minimum), Some(found)) => minimum <= found.reported.min(found.at_launch),
            (Some(_), None) => false,
        };
        let passed = self.holds(|summary| sufficient(find(summary, component)));
        check(name, passed)
            .expected(minimum.map_or("any".to_owned(), |minimum| format!("at least {minimum}")))
            .actual(self.describe(|summary| match find(summary, component) {
                Some(found) if found.reported == found.at_launch => found.reported.to_string(),
                Some(found) => format!("{}, at launch {}", found.reported, found.at_launch),
                None => format!("{} has none", summary.product),
            }))
            .source(self.sources.tcb)
            .remedy("the machine's firmware or microcode is outdated: choose another, or have its operator update it")
    }

    fn privilege(&self) -> Check {
        let maximum = self.policy.maximum_vmpl;
        let within = |level: Option<u32>| level.is_some_and(|level| level <= maximum);
        check("privilege level", self.holds(|summary| within(summary.privilege_level)))
            .expected(format!("at most {maximum}"))
            .actual(self.describe(|summary| match summary.privilege_level {
                Some(level) => level.to_string(),
                None => "not told".to_owned(),
            }))
            .source(self.sources.privilege)
            .remedy("something more privileged than the Keep runs beside it: raise maximum_vmpl only if its measurement covers that too")
    }

    fn machine(&self) -> Check {
        let allowed = |machine: Option<&[u8]>| match (&self.policy.chip_ids, machine) {
            (None, _) => true,
            (Some(allowed), Some(machine)) => allowed.iter().any(|one| one == machine),
            (Some(_), None) => false,
        };
        let passed = self.holds(|summary| allowed(summary.machine.as_deref()));
        let expected = self.policy.chip_ids.as_deref().map(list);
        check("chip", passed)
            .expected(expected.unwrap_or("any".to_owned()))
            .actual(self.describe(|summary| told(summary.machine.as_deref())))
            .source(self.sources.machine)
            .remedy(
                "deploy to one of the machines that the policy lists, or add this one to chip_ids",
            )
    }

    fn host_data(&self) -> Check {
        let wanted = self.policy.host_data.as_ref();
        let matches = |found: Option<&[u8]>| wanted.is_none_or(|wanted| found == Some(wanted));
        check("host data", self.holds(|summary| matches(summary.host_data.as_deref())))
            .expected(wanted.map_or("any".to_owned(), hex::encode))
            .actual(self.describe(|summary| told(summary.host_data.as_deref())))
            .source(self.sources.host_data)
            .remedy("the host launched the Keep with other host data: have it started with the value in the policy")
    }

    /// Whether the evidence verified and says what it should.
    fn holds(&self, condition: impl FnOnce(&Summary) -> bool) -> bool {
        self.submission
            .evidence
            .is_ok_and(|evidence| condition(evidence.summary()))
    }

    /// What the evidence says; what was not verified is not repeated.
    fn describe<T: Into<String>>(&self, describe: impl FnOnce(&Summary) -> T) -> String {
        match self.submission.evidence {
            Ok(evidence) => describe(evidence.summary()).into(),
            Err(_) => "unknown: the evidence did not verify".to_owned(),
        }
    }
}

/// Begins a check; the remedy, which completes it, is kept only when it did not pass.
fn check(name: &'static str, passed: bool) -> Check {
    Check {
        name,
        expected: String::new(),
        actual: String::new(),
        passed,
        source: "",
        remedy: None,
    }
}

impl Check {
    fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    fn actual(mut self, actual: impl Into<String>) -> Self {
        self.actual = actual.into();
        self
    }

    fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = (!self.passed).then_some(remedy);
        self
    }
}

fn verified(summary: &Summary) -> String {
    format!(
        "verified: {} under {}",
        summary.product, summary.anchor_name
    )
}

fn find<'a>(summary: &'a Summary, component: &str) -> Option<&'a TcbComponent> {
    summary.tcb.iter().find(|one| one.name == component)
}

fn told(bytes: Option<&[u8]>) -> String {
    bytes.map_or("not told".to_owned(), hex::encode)
}

fn list<T: AsRef<[u8]>>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(hex::encode).collect();
    values.join(", ")
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
