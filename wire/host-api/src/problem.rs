//! Refusals: `application/problem+json` (RFC 9457) with a stable `code`.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{KeepEnd, KeepState};

/// Why a host refused, as RFC 9457 shapes it, with members of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:enarx:problem:` and the code.
    #[serde(rename = "type")]
    pub uri: String,
    /// One sentence for the kind of problem, always the same.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The kind of problem, for programs. Codes are never renamed.
    pub code: ErrorCode,
    /// The Keep's state, when that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<KeepState>,
    /// How the Keep ended, when that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<KeepEnd>,
}

impl Problem {
    /// A problem of the kind `code`.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            uri: format!("urn:enarx:problem:{}", code.as_str()),
            title: code.title().into(),
            status: code.status(),
            detail: detail.into(),
            code,
            state: None,
            end: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.title)?;
        if !self.detail.is_empty() {
            write!(formatter, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $title:literal;)+) => {
        /// The kinds of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
            /// A code that this version of the interface does not know.
            #[serde(other, rename = "unrecognized")]
            Unrecognized,
        }

        impl ErrorCode {
            /// Every code that a host of this version sends.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as it is written on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Unrecognized => "unrecognized",
                }
            }

            /// The HTTP status code that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                    Self::Unrecognized => 500,
                }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                    Self::Unrecognized => "The host refused for an unknown reason",
                }
            }
        }
    };
}

error_codes! {
    /// The request's parts, query or body are not as they must be.
    InvalidRequest = "invalid-request", 400, "The request is malformed";
    /// A body of frames cannot be taken apart.
    MalformedFrames = "malformed-frames", 400, "The body is not a sequence of frames";
    /// The access token is missing or wrong.
    Unauthorized = "unauthorized", 401, "An access token is required";
    /// The host's operator does not let Keeps use the network.
    NetworkDenied = "network-denied", 403, "This host does not let Keeps use its network";
    /// The path is none of the interface's.
    UnknownPath = "unknown-path", 404, "This host has no such path";
    /// No Keep has this identifier (any more).
    UnknownKeep = "unknown-keep", 404, "This host has no such Keep";
    /// The path exists, with other methods.
    MethodNotAllowed = "method-not-allowed", 405, "The path does not take this method";
    /// The body stopped arriving.
    RequestTimeout = "request-timeout", 408, "The request took too long to arrive";
    /// The Keep is not at this step, or is past it.
    WrongState = "wrong-state", 409, "The Keep is in another state";
    /// The Keep had ended before the request.
    KeepEnded = "keep-ended", 409, "The Keep has ended";
    /// The body is larger than what the operation takes.
    BodyTooLarge = "body-too-large", 413, "The body is too large";
    /// The package is larger than what the host allows.
    PackageTooLarge = "package-too-large", 413, "The package is too large for this host";
    /// The body is of another media type.
    UnsupportedMediaType = "unsupported-media-type", 415, "The body has the wrong media type";
    /// No backend has this name.
    UnknownBackend = "unknown-backend", 422, "There is no such backend";
    /// The backend cannot start a Keep of this sort here.
    BackendUnavailable = "backend-unavailable", 422, "The backend is not available on this host";
    /// The Keep would have more memory than the host allows for one.
    MemoryOverLimit = "memory-over-limit", 422, "The Keep asks for too much memory";
    /// The backend tried and did not succeed.
    LaunchFailed = "launch-failed", 500, "The Keep did not start";
    /// The host itself failed.
    Internal = "internal", 500, "The host failed";
    /// The Keep ended while the request waited for it.
    KeepFailed = "keep-failed", 502, "The Keep ended before it answered";
    /// As many Keeps live as are allowed.
    TooManyKeeps = "too-many-keeps", 503, "The host has no room for another Keep";
    /// The living Keeps leave too little of the memory that the host gives.
    MemoryExhausted = "memory-exhausted", 503, "The host has too little memory left";
    /// The host is about to end.
    ShuttingDown = "shutting-down", 503, "The host is shutting down";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_survive_the_wire() {
        let names: std::collections::BTreeSet<_> =
            ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for &code in ErrorCode::ALL {
            let problem = Problem::new(code, "because");
            let value = serde_json::to_value(&problem).unwrap();
            assert_eq!(value["code"], code.as_str());
            assert_eq!(value["status"], code.status());
            assert_eq!(
                value["type"],
                format!("urn:enarx:problem:{}", code.as_str())
            );
            assert_eq!(serde_json::from_value::<Problem>(value).unwrap(), problem);
        }
    }

    #[test]
    fn a_newer_hosts_problem_is_understood() {
        let newer = r#"{"type":"about:blank","title":"Full moon","status":503,"code":"full-moon"}"#;
        let problem: Problem = serde_json::from_str(newer).unwrap();
        assert_eq!(problem.code, ErrorCode::Unrecognized);
        assert_eq!(problem.to_string(), "Full moon");
    }
}
