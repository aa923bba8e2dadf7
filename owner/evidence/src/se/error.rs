//! Why a host key document is not accepted.

use core::fmt;

use crate::{CertificateError, FailureKind};

/// Why a host key document is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something is not there.
    #[error("there is no {0}")]
    Missing(Role),
    /// There is more than one host key document, and it is not clear which is meant.
    #[error("there are {0} host key documents: give one at a time")]
    Several(usize),
    /// A certificate or revocation list is not acceptable.
    #[error("the {role} {error}")]
    Certificate {
        /// Which one.
        role: Role,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The document names another issuer than IBM's signing key.
    #[error("the host key document names another issuer than IBM's signing key")]
    Issuer,
    /// The document was issued under another key of that name.
    #[error("the host key document was issued under another key than IBM's signing key here")]
    KeyIdentifier,
    /// The chain is longer than any.
    #[error("the chain of IBM's signing key is too long")]
    ChainLength,
    /// The chain ends at a root that nobody named.
    #[error("the root certificate is none that you named as trusted")]
    UntrustedRoot,
    /// A certificate is on its issuer's revocation list.
    #[error("the {0} is revoked")]
    Revoked(Role),
    /// A file with roots cannot be read.
    #[error("the file holds no certificate: {0}")]
    Roots(CertificateError),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Several(_) => FailureKind::Malformed,
            Self::Missing(_)
            | Self::Roots(_)
            | Self::Certificate {
                role: Role::Revocations,
                error: CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
            } => FailureKind::Collateral,
            _ => FailureKind::NotGenuine,
        }
    }
}

/// What a certificate or revocation list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The host key document itself.
    HostKey,
    /// IBM's key that signs host key documents.
    SigningKey,
    /// An authority above that key, or the root.
    Authority,
    /// A revocation list.
    Revocations,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HostKey => "host key document",
            Self::SigningKey => "certificate of IBM's signing key",
            Self::Authority => "certificate of an authority",
            Self::Revocations => "revocation list of an issuer",
        })
    }
}
