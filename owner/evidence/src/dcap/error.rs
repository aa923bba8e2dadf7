//! What can be wrong with a quote or its certificates.

use core::fmt;

use crate::{CertificateError, FailureKind, bytes::Truncated};

/// Why a quote is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The quote cannot be read.
    #[error("the quote {0}")]
    Quote(#[from] QuoteError),
    /// The attestation key did not sign header and report.
    #[error("the quote was not signed by its attestation key")]
    QuoteSignature,
    /// The QE's report is not about the attestation key.
    #[error("the quoting enclave's report does not name the attestation key")]
    AttestationKey,
    /// The PCK did not sign the QE's report.
    #[error("the quoting enclave's report was not signed by the PCK")]
    QeReportSignature,
    /// The quote carries no PCK certificate chain, only what one could ask Intel with.
    #[error("the quote has certification data of type {kind}, not a PCK certificate chain")]
    NoCertificates {
        /// The type of certification data.
        kind: u16,
    },
    /// A certificate is needed that is not there.
    #[error("there is no {0}")]
    Missing(CertificateRole),
    /// More certificates than any chain has.
    #[error("the quote has too many certificates")]
    TooManyCertificates,
    /// A certificate or revocation list is not acceptable.
    #[error("the {role} {error}")]
    Certificate {
        /// Which one.
        role: CertificateRole,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain ends at a root that is no trust anchor.
    #[error("the root certificate is not a trust anchor")]
    UntrustedRoot,
    /// A certificate is on its issuer's revocation list.
    #[error("the {0} is revoked")]
    Revoked(CertificateRole),
    /// The PCK is not a key on P-256.
    #[error("the PCK certificate does not hold a P-256 key")]
    PckKey,
    /// The PCK certificate's SGX extension is not as the profile says.
    #[error("the PCK certificate's SGX extension is malformed")]
    SgxExtension,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Quote(_) => FailureKind::Malformed,
            Self::NoCertificates { .. } | Self::Missing(_) => FailureKind::Collateral,
            Self::Certificate {
                role: CertificateRole::PckRevocations | CertificateRole::RootRevocations,
                error: CertificateError::Expired { .. },
            } => FailureKind::Collateral,
            _ => FailureKind::NotGenuine,
        }
    }
}

impl From<Truncated> for QuoteError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

/// Why a quote cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// It is longer than any quote.
    #[error("has {actual} bytes, too many")]
    TooLarge {
        /// Its length in bytes.
        actual: usize,
    },
    /// It ends before it should.
    #[error("is truncated")]
    Truncated,
    /// Its version is not 3, 4 or 5.
    #[error("has version {0}, which is not known")]
    Version(u16),
    /// Its attestation key is not ECDSA on P-256.
    #[error("has attestation key type {0}, not ECDSA on P-256")]
    KeyType(u16),
    /// It says neither SGX nor TDX, or not what its version can hold.
    #[error("has TEE type {0:#x}, which does not go with its version")]
    TeeType(u32),
    /// The QE's vendor is not Intel.
    #[error("is from a quoting enclave of an unknown vendor")]
    Vendor,
    /// The type and size of a version 5 body do not go together.
    #[error("has a body of unknown type {kind} and size {size}")]
    Body {
        /// The body's type.
        kind: u16,
        /// The body's size in bytes.
        size: u32,
    },
    /// Certification data of a type that does not belong there.
    #[error("has certification data of unexpected type {0}")]
    CertificationType(u16),
    /// Lengths inside do not add up.
    #[error("has parts whose lengths do not add up")]
    Lengths,
}

/// What a certificate or revocation list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// The platform's PCK certificate.
    Pck,
    /// The authority that issued the PCK certificate.
    PckAuthority,
    /// The root.
    Root,
    /// The PCK authority's revocation list.
    PckRevocations,
    /// The root's revocation list.
    RootRevocations,
}

impl fmt::Display for CertificateRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pck => "PCK certificate",
            Self::PckAuthority => "PCK authority's certificate",
            Self::Root => "root certificate",
            Self::PckRevocations => "PCK revocation list",
            Self::RootRevocations => "root revocation list",
        })
    }
}
