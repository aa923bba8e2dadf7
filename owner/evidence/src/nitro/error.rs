//! Why a document is not accepted.

use crate::{CertificateError, CoseError, FailureKind};

/// Why a document is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The message around it cannot be read, or its signature is not the certificate's.
    #[error("the attestation document {0}")]
    Message(#[from] CoseError),
    /// It is not signed with ES384.
    #[error("the attestation document is not signed with ES384")]
    Algorithm,
    /// A field is missing, or not as AWS specifies it.
    #[error("the attestation document's field \"{0}\" is missing or not as specified")]
    Field(&'static str),
    /// A certificate is not what its place in the chain demands.
    #[error("certificate {index} of the attestation document, counted from its signer, {error}")]
    Certificate {
        /// Its place, 0 for the signer's.
        index: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain ends at a root that is no trust anchor.
    #[error("the root certificate is not a trust anchor")]
    UntrustedRoot,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Message(CoseError::Signature | CoseError::Curve) => FailureKind::NotGenuine,
            Self::Message(_) | Self::Algorithm | Self::Field(_) => FailureKind::Malformed,
            Self::Certificate { .. } | Self::UntrustedRoot => FailureKind::NotGenuine,
        }
    }
}
