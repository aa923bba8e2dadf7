//! What can be wrong with a quote or its certificates.

use core::fmt;

use crate::{CertificateError, FailureKind, UnixTime, bytes::Truncated};

use super::Kind;

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
    /// One of Intel's documents is needed for this quote and not there.
    #[error("there is no {0} for the quote's kind of platform")]
    MissingDocument(DocumentRole),
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
    /// A certificate is for something else.
    #[error("the {role} is another's: its common name is `{}`", found.escape_debug())]
    CommonName {
        /// Which one.
        role: CertificateRole,
        /// Its subject's common name.
        found: String,
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
    /// The key of the TCB signing certificate is not on P-256.
    #[error("the TCB signing certificate does not hold a P-256 key")]
    SignerKey,
    /// One of Intel's documents is not acceptable.
    #[error("the {role} {error}")]
    Document {
        /// Which one.
        role: DocumentRole,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// One of Intel's documents was not signed by the TCB signing key.
    #[error("the {0} was not signed by the TCB signing key")]
    DocumentSignature(DocumentRole),
    /// TCB info and QE identity are for different TEEs.
    #[error("TCB info and QE identity are for different TEEs")]
    CollateralKinds,
    /// The collateral is for the other TEE.
    #[error("the quote is of {quote}, the collateral is for the other TEE")]
    CollateralKind {
        /// The quote's TEE.
        quote: Kind,
    },
    /// The collateral is for another kind of platform.
    #[error(
        "the quote is of a platform with FMSPC {}, the TCB info is for {}",
        hex::encode(quote),
        hex::encode(collateral)
    )]
    Fmspc {
        /// The FMSPC in the PCK certificate.
        quote: [u8; 6],
        /// The FMSPC of the TCB info.
        collateral: [u8; 6],
    },
    /// The collateral is for platforms with another provisioning certification enclave.
    #[error(
        "the quote is of a platform with PCE-ID {}, the TCB info is for {}",
        hex::encode(quote),
        hex::encode(collateral)
    )]
    PceId {
        /// The PCE-ID in the PCK certificate.
        quote: [u8; 2],
        /// The PCE-ID of the TCB info.
        collateral: [u8; 2],
    },
    /// A time at which not all of the collateral holds.
    #[error("the collateral does not hold at the time {now}")]
    OutsideValidity {
        /// The caller's time.
        now: UnixTime,
    },
    /// Another enclave than Intel's quoting enclave signed.
    #[error("the enclave that signed is not Intel's quoting enclave: its {0} differs")]
    QeIdentity(&'static str),
    /// The quoting enclave's security version reaches no level that Intel knows.
    #[error("the quoting enclave's security version {svn} is below every known level")]
    QeLevel {
        /// Its ISVSVN.
        svn: u16,
    },
    /// The platform's security versions reach no level that Intel knows.
    #[error("the platform's security versions reach no known TCB level")]
    NoTcbLevel,
    /// The TDX module is of a version that the TCB info says nothing about.
    #[error("the TCB info does not know TDX module version {version}")]
    TdxModuleUnknown {
        /// Its major version.
        version: u8,
    },
    /// The TDX module's signer or attributes are not those of Intel's module.
    #[error("the TDX module is not Intel's: MRSIGNERSEAM or SEAMATTRIBUTES differ")]
    TdxModule,
    /// The TDX module's security version reaches no level that Intel knows.
    #[error("the TDX module's security version {svn} is below every known level")]
    TdxModuleLevel {
        /// Its ISVSVN.
        svn: u8,
    },
    /// Intel has given up on platforms with these security versions.
    #[error("Intel has revoked the platform's TCB level")]
    RevokedTcb,
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
            Self::NoCertificates { .. } | Self::Missing(_) | Self::MissingDocument(_) => {
                FailureKind::Collateral
            }
            Self::CollateralKinds
            | Self::CollateralKind { .. }
            | Self::Fmspc { .. }
            | Self::PceId { .. }
            | Self::OutsideValidity { .. }
            | Self::Document {
                error: DocumentError::Stale { .. } | DocumentError::NotYetIssued { .. },
                ..
            }
            | Self::Certificate {
                role:
                    CertificateRole::PckRevocations
                    | CertificateRole::RootRevocations
                    | CertificateRole::TcbSigning,
                error: CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
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

/// What is wrong with one of Intel's documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is longer than any.
    #[error("has {actual} bytes, too many")]
    TooLarge {
        /// Its length in bytes.
        actual: usize,
    },
    /// It is not JSON of the expected shape.
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// Its version is not known here.
    #[error("has version {0}, which is not known")]
    Version(u32),
    /// It says that it is something else.
    #[error("has another identifier than one of its kind")]
    Identifier,
    /// Its way of comparing security versions is not known here.
    #[error("has TCB type {0}, which is not known")]
    TcbType(u32),
    /// It is for TDX and has a level without TDX components.
    #[error("has a TCB level without TDX components")]
    TdxComponents,
    /// It was issued in the future.
    #[error("is not valid yet: issued {issued}, now {now}")]
    NotYetIssued {
        /// When it was issued.
        issued: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
    /// There is a newer one.
    #[error("is stale: a newer one was due {next_update}, now {now}")]
    Stale {
        /// When the next was due.
        next_update: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
}

/// Which of Intel's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentRole {
    /// TCB info.
    TcbInfo,
    /// The identity of the quoting enclave.
    QeIdentity,
}

impl fmt::Display for DocumentRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
        })
    }
}

/// What a certificate or revocation list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// The platform's PCK certificate.
    Pck,
    /// The authority that issued the PCK certificate.
    PckAuthority,
    /// The key that signs TCB info and QE identities.
    TcbSigning,
    /// The root.
    Root,
    /// The PCK authority's revocation list.
    PckRevocations,
    /// The root's revocation list.
    RootRevocations,
}

impl CertificateRole {
    /// The common names that certificates for this have; empty where it does not matter.
    pub(super) const fn common_names(self) -> &'static [&'static str] {
        match self {
            Self::Pck => &["Intel SGX PCK Certificate"],
            Self::PckAuthority => &["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"],
            Self::TcbSigning => &["Intel SGX TCB Signing"],
            Self::Root | Self::PckRevocations | Self::RootRevocations => &[],
        }
    }
}

impl fmt::Display for CertificateRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pck => "PCK certificate",
            Self::PckAuthority => "PCK authority's certificate",
            Self::TcbSigning => "TCB signing certificate",
            Self::Root => "root certificate",
            Self::PckRevocations => "PCK revocation list",
            Self::RootRevocations => "root revocation list",
        })
    }
}
