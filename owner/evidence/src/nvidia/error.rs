//! Why a report is not accepted.

use crate::{CertificateError, FailureKind, bytes::Truncated};

use super::{ManifestError, Part};

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
    /// There are no certificates at all.
    #[error("there are no certificates of the device")]
    NoCertificates,
    /// A certificate of the chain is not there.
    #[error("there is no certificate of `{}`, which the chain leads to", .0.escape_debug())]
    Missing(String),
    /// The chain is longer than any.
    #[error("the chain has more than 8 certificates")]
    ChainLength,
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
    #[error("the report was not signed by the key of any certificate that was given")]
    Signature,
    /// The report names another firmware than the one whose key the certificate is for.
    #[error("the report's firmware identity is not the certificate's")]
    Firmware,
    /// A manifest that is given with the report is not NVIDIA's.
    #[error("a manifest of reference values is not NVIDIA's: {0}")]
    Manifest(#[from] ManifestError),
    /// The device runs something else than NVIDIA's manifest says.
    #[error(
        "the device's {part} {version} is not what NVIDIA's manifest says: measurements {} differ",
        list(.indices)
    )]
    Measurements {
        /// What differs.
        part: Part,
        /// Its version.
        version: String,
        /// The measurements, by their numbers in the manifest, from 0.
        indices: Vec<u8>,
    },
}

fn list(indices: &[u8]) -> String {
    let indices: Vec<_> = indices.iter().map(u8::to_string).collect();
    indices.join(", ")
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TooLarge(_) | Self::Truncated | Self::Field(_) => FailureKind::Malformed,
            Self::NoCertificates | Self::Missing(_) => FailureKind::Collateral,
            Self::Manifest(error) => error.kind(),
            _ => FailureKind::NotGenuine,
        }
    }
}

impl From<Truncated> for Error {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}
