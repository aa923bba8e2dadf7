//! The appraisal itself.

mod collateral;
mod evidence;
mod keep;
mod particulars;
mod tcb;

use core::error::Error;

use enarx_owner_evidence::{Evidence, Summary, Technology, UnixTime};
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    Check, Policy, ReferenceValues, Verdict,
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
    /// The owner's clock.
    pub now: UnixTime,
}

/// Evidence alone, as somebody has it in a file: it need not be a Keep's.
#[derive(Debug, Clone, Copy)]
pub struct BareEvidence<'a> {
    /// The evidence, verified.
    pub evidence: &'a Evidence,
    /// The report data or nonce that it must carry; `None` for any. A shorter one
    /// stands for itself with zeros behind it.
    pub report_data: Option<&'a [u8]>,
    /// The verifier's clock.
    pub now: UnixTime,
}

/// Appraises a Keep: makes every check, whatever the others say, and sums them up.
#[must_use]
pub fn appraise(
    submission: &Submission<'_>,
    policy: &Policy,
    reference: &ReferenceValues,
) -> Verdict {
    let technology = source::technology(submission.format);
    let appraisal = Appraisal {
        evidence: submission.evidence,
        technology,
        keep: Some(submission),
        report_data: Some(submission.report_data),
        now: submission.now,
        policy,
        reference,
        sources: source::of(technology),
    };
    Verdict::new(
        &policy.name,
        submission.evidence.ok().map(Evidence::kind),
        Some(*submission.report_data),
        appraisal.checks(),
    )
}

/// Appraises evidence that comes without a Keep's claims.
///
/// The verdict's [`accept`](Verdict::accept) gives no permission, as there is no Keep
/// that it could be for.
#[must_use]
pub fn appraise_evidence(
    bare: &BareEvidence<'_>,
    policy: &Policy,
    reference: &ReferenceValues,
) -> Verdict {
    let technology = bare.evidence.summary().technology;
    let appraisal = Appraisal {
        evidence: Ok(bare.evidence),
        technology,
        keep: None,
        report_data: bare.report_data,
        now: bare.now,
        policy,
        reference,
        sources: source::of(technology),
    };
    let steps = bare.evidence.steps().iter();
    let steps = steps.map(|step| {
        check(step.name, true)
            .expected("verified")
            .actual(step.found.clone())
            .source(step.source)
    });
    let checks = steps.chain(appraisal.checks()).collect();
    Verdict::new(&policy.name, Some(bare.evidence.kind()), None, checks)
}

struct Appraisal<'a> {
    evidence: Result<&'a Evidence, &'a dyn Error>,
    technology: Technology,
    keep: Option<&'a Submission<'a>>,
    report_data: Option<&'a [u8]>,
    now: UnixTime,
    policy: &'a Policy,
    reference: &'a ReferenceValues,
    sources: &'static Sources,
}

impl Appraisal<'_> {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.signature(), self.anchor()];
        checks.extend(self.report_data());
        checks.push(self.technology_allowed());
        if let Some(keep) = self.keep {
            checks.extend([self.platform_allowed(keep), self.platform_proven(keep)]);
            checks.extend(self.confidential_vm(keep));
        }
        checks.extend([
            self.measurement(),
            self.debug(),
            self.migration_agent(),
            self.product(),
        ]);
        checks.extend(self.tcb());
        checks.extend(self.collateral());
        checks.extend(self.privilege());
        checks.extend([self.machine(), self.host_data()]);
        checks.extend(self.particulars());
        checks
    }

    /// Whether the evidence verified and says what it should.
    fn holds(&self, condition: impl FnOnce(&Summary) -> bool) -> bool {
        self.evidence
            .is_ok_and(|evidence| condition(evidence.summary()))
    }

    /// What the evidence says; what was not verified is not repeated.
    fn describe<T: Into<String>>(&self, describe: impl FnOnce(&Summary) -> T) -> String {
        match self.evidence {
            Ok(evidence) => describe(evidence.summary()).into(),
            Err(_) => "unknown: the evidence did not verify".to_owned(),
        }
    }
}

/// Begins a check; the remedy, which completes it, is kept only when it did not pass.
fn check(name: impl Into<std::borrow::Cow<'static, str>>, passed: bool) -> Check {
    Check {
        name: name.into(),
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
