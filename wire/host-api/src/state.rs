//! What a Keep is doing, as its host sees it.
//!
//! ```text
//! started -> offered -> provisioning -> provisioned -> loading -> running
//!    |          |            |               |            |          |
//!    +----------+------------+-------+-------+------------+----------+
//!                                    v
//!                                  ended
//! ```

use core::fmt;

use serde::{Deserialize, Serialize};

/// A Keep's place in its life. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeepState {
    /// Launched; it has not offered its claims and evidence yet.
    Started,
    /// It waits for its owner's sealed grant.
    Offered,
    /// The grant was relayed; the Keep has not said yet whether it opens.
    Provisioning,
    /// The grant was opened. It waits for the package.
    Provisioned,
    /// The package is being relayed.
    Loading,
    /// The whole package was relayed. The Keep checks and runs it.
    Running,
    /// It is no more. [`KeepEnd`] says how it ended.
    Ended,
}

impl KeepState {
    /// Every state, in the order of a Keep's life.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Offered,
        Self::Provisioning,
        Self::Provisioned,
        Self::Loading,
        Self::Running,
        Self::Ended,
    ];

    /// The name used on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Offered => "offered",
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for KeepState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How a Keep ended, as far as its host can know.
///
/// A workload's exit status is not here: it travels encrypted to the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeepEnd {
    /// The kind of end.
    pub kind: EndKind,
    /// One sentence about it.
    pub detail: String,
    /// The failure code that the Keep sent, when `kind` is `failed`
    /// (`wire/hostcall`, `FailureCode`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<u8>,
    /// The end of what the Keep wrote to its diagnostics, with control characters
    /// replaced, when it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
}

impl fmt::Display for KeepEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

/// The kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// The workload ended by itself; its owner can read how from the output.
    Completed,
    /// Somebody asked the host to stop it.
    Stopped,
    /// The Keep refused to go on and said why.
    Failed,
    /// The Keep was killed or crashed.
    Died,
    /// The Keep sent what is not allowed, and the host ended it.
    Misbehaved,
    /// The Keep did not answer in time, and the host ended it.
    Unresponsive,
    /// The owner did not go on in time, and the host ended it.
    Expired,
    /// The package's upload broke off. A Keep takes one upload, so the host
    /// ended it.
    UploadBroken,
    /// The host shut down.
    HostShutdown,
    /// An end that this version of the interface does not know.
    #[serde(other)]
    Unrecognized,
}

impl EndKind {
    /// Every kind that a host of this version reports.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::Stopped,
        Self::Failed,
        Self::Died,
        Self::Misbehaved,
        Self::Unresponsive,
        Self::Expired,
        Self::UploadBroken,
        Self::HostShutdown,
    ];

    /// The name used on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Died => "died",
            Self::Misbehaved => "misbehaved",
            Self::Unresponsive => "unresponsive",
            Self::Expired => "expired",
            Self::UploadBroken => "upload-broken",
            Self::HostShutdown => "host-shutdown",
            Self::Unrecognized => "unrecognized",
        }
    }
}

impl fmt::Display for EndKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for state in KeepState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for kind in EndKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let newer: EndKind = serde_json::from_str("\"evaporated\"").unwrap();
        assert_eq!(newer, EndKind::Unrecognized);
    }
}
