//! What verification did, in words.

use core::fmt;

/// One thing that verification established, for those who want to know why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was looked at (`PCK certificate`, `signature`, ...).
    pub name: &'static str,
    /// What was found, in a few words.
    pub found: String,
    /// The document and section that demand the check.
    pub source: &'static str,
}

/// What kind of failure stopped a verification: who can do something about it depends
/// on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The evidence cannot be read: it is cut, of an unknown version, or something else.
    Malformed,
    /// It can be read, and was not made by the hardware that it claims to come from, or
    /// that hardware's keys are revoked.
    NotGenuine,
    /// An endorsement or other collateral that the verdict needs is absent or no longer
    /// fresh.
    Collateral,
}

impl FailureKind {
    /// `malformed`, `not genuine` or `collateral missing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotGenuine => "not genuine",
            Self::Collateral => "collateral missing",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
