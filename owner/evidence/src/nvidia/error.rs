//! Why a report is not accepted.

use crate::{CertificateError, FailureKind, bytes::Truncated};

/// Why a report is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The report is longer than any.
    #[error("the report has {0} bytes, too many")]
    TooLarge(usize),
    /// The report ends before it should.
    #[error("the report is truncated")]
    Truncated,
    /// A part of the report is not as specified.
    #[error("the report's {0} is not as specified")]
    Field(&'static str),
    /// There are fewer certificates than a chain has, or more.
    #[error("the chain has {0} certificates, not 2 to 8")]
    ChainLength(usize),
    /// A certificate is not what its place in the chain demands.
    #[error("certificate {index} of the chain, counted from the device's, {error}")]
    Certificate {
        /// Its place, 0 for the device's.
        index: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain ends at a root that is no trust anchor.
    #[error("the root certificate is not a trust anchor")]
    UntrustedRoot,
    /// The device did not sign the report.
    #[error("the report was not signed by the device's key")]
    Signature,
    /// The report names another firmware than the one whose key the certificate is for.
    #[error("the report's firmware identity is not the certificate's")]
    Firmware,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TooLarge(_) | Self::Truncated | Self::Field(_) => FailureKind::Malformed,
            Self::ChainLength(_) => FailureKind::Collateral,
            _ => FailureKind::NotGenuine,
        }
    }
}

impl From<Truncated> for Error {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}
