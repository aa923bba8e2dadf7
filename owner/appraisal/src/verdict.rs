//! Verdicts, and what may be done with one.

use core::fmt;
use std::borrow::Cow;

use enarx_owner_evidence::AnchorKind;
use serde::Serialize;

/// The outcome of an appraisal.
///
/// Its fields cannot be set from outside: only [`appraise`](crate::appraise()) makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    level: Level,
    policy: String,
    checks: Vec<Check>,
    #[serde(skip)]
    report_data: Option<[u8; 64]>,
}

/// How good a verdict is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A check failed.
    Rejected,
    /// Every check passed, on evidence of a simulator: nothing is protected.
    Simulated,
    /// Every check passed, on evidence of real hardware.
    Genuine,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: Cow<'static, str>,
    /// What was wanted.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// Whether what was found is what was wanted.
    pub passed: bool,
    /// The document and section that say what the value means.
    pub source: &'static str,
    /// What the owner can do about it; for checks that did not pass.
    pub remedy: Option<&'static str>,
}

/// The proof that an appraisal did not reject a Keep: what lets the application out.
#[derive(Debug)]
#[must_use]
pub struct Accepted {
    verdict: Verdict,
    kind: AnchorKind,
    report_data: [u8; 64],
}

/// A verdict that rejected, as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(Box<Verdict>);

impl Verdict {
    /// Judges by the checks: all must have passed, and then `kind` decides.
    pub(crate) fn new(
        policy: &str,
        kind: Option<AnchorKind>,
        report_data: Option<[u8; 64]>,
        checks: Vec<Check>,
    ) -> Self {
        let passed = !checks.is_empty() && checks.iter().all(|check| check.passed);
        let level = match kind {
            Some(AnchorKind::Genuine) if passed => Level::Genuine,
            Some(AnchorKind::Simulated) if passed => Level::Simulated,
            _ => Level::Rejected,
        };
        Self {
            level,
            policy: policy.to_owned(),
            checks,
            report_data,
        }
    }

    /// How good it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The name of the policy.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Every check, those that passed too.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Turns the verdict into the permission to go on.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when a check did not pass, or the verdict is not about a Keep.
    pub fn accept(self) -> Result<Accepted, Rejected> {
        let (kind, report_data) = match (self.level, self.report_data) {
            (Level::Simulated, Some(report_data)) => (AnchorKind::Simulated, report_data),
            (Level::Genuine, Some(report_data)) => (AnchorKind::Genuine, report_data),
            (Level::Rejected, _) | (_, None) => return Err(Rejected(Box::new(self))),
        };
        Ok(Accepted {
            report_data,
            verdict: self,
            kind,
        })
    }
}

impl Accepted {
    /// Whether real hardware or a simulator vouches for the Keep.
    #[must_use]
    pub fn kind(&self) -> AnchorKind {
        self.kind
    }

    /// The report data that binds the evidence to the Keep's claims: the permission is
    /// for the Keep with these claims and no other.
    #[must_use]
    pub fn report_data(&self) -> &[u8; 64] {
        &self.report_data
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

impl Rejected {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.0
    }
}

impl Level {
    /// `genuine`, `simulated` or `rejected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Simulated => "simulated",
            Self::Genuine => "genuine",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the Keep was rejected:")?;
        let failed = self.0.checks.iter().filter(|check| !check.passed);
        for (index, check) in failed.enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(formatter, "{separator}{}", check.name)?;
        }
        Ok(())
    }
}

impl core::error::Error for Rejected {}

/// Characters of a long value that are shown when it is as it should be.
const SHOWN_CHARACTERS: usize = 48;

/// A tree with one line for a check that passed, and all that is known about one that
/// did not.
impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.level)?;
        if !self.policy.is_empty() {
            write!(formatter, " under policy {}", self.policy)?;
        }
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or(0);
        for (index, check) in self.checks.iter().enumerate() {
            let last = index + 1 == self.checks.len();
            let (branch, stem) = if last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            let name = &check.name;
            if check.passed {
                let actual = shortened(&check.actual);
                write!(formatter, "\n{branch} pass  {name:width$}  {actual}")?;
                continue;
            }
            write!(
                formatter,
                "\n{branch} FAIL  {name:width$}  {}",
                check.actual
            )?;
            let remedy = check.remedy.unwrap_or_default();
            for (label, text) in [
                ("expected", check.expected.as_str()),
                ("source", check.source),
                ("remedy", remedy),
            ] {
                write!(formatter, "\n{stem}       {label:8}  {text}")?;
            }
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(SHOWN_CHARACTERS).chain(['…']).collect()
}
