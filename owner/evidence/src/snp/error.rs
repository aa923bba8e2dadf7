//! What can be wrong with SEV-SNP evidence.

use core::fmt;

use crate::{CertificateError, Digest, FailureKind, UnixTime};

use super::{KeyKind, Product, SigningKey, Tcb};

/// Why an attestation report could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is not exactly 1184 bytes long.
    #[error("the report has {actual} bytes instead of 1184")]
    Length {
        /// Its length in bytes.
        actual: usize,
    },
    /// Its version is not one of 2, 3 and 5.
    #[error("report version {0} is not known here; known are 2, 3 and 5")]
    Version(u32),
    /// A reserved field is not what the specification demands.
    #[error("the reserved field at offset {offset:#05x} of the report is not as specified")]
    Reserved {
        /// Where the field starts in the report.
        offset: usize,
    },
    /// It was not asked for by one of the guest's four privilege levels. The host can ask
    /// the firmware for a report itself, which then carries VMPL 0xFFFFFFFF.
    #[error("the report was not requested by the guest: VMPL {0:#x}")]
    Vmpl(u32),
    /// Its signature algorithm is not ECDSA on P-384 with SHA-384.
    #[error("signature algorithm {0} is not ECDSA P-384 with SHA-384")]
    SignatureAlgorithm(u32),
    /// Its signing key is of a kind that is not known here.
    #[error("signing key kind {0} is not known here")]
    SigningKey(u8),
    /// A half of its signature has more than 384 bits.
    #[error("a half of the signature at offset {offset:#05x} does not fit 48 bytes")]
    SignatureRange {
        /// Where the half starts in the report.
        offset: usize,
    },
    /// It comes from a processor that is not known here.
    #[error("processor family {family:#04x}, model {model:#04x} is not known here")]
    Processor {
        /// CPUID family.
        family: u8,
        /// CPUID model.
        model: u8,
    },
}

/// Why SEV-SNP evidence was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The report could not be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A certificate is not what its place in the chain demands.
    #[error("the {role} certificate {reason}")]
    Certificate {
        /// Which of the three.
        role: CertificateRole,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// A certificate of the chain is not there.
    #[error("there is no {0} certificate")]
    Missing(CertificateRole),
    /// A certificate is on the root's revocation list.
    #[error("the {0} certificate is revoked")]
    Revoked(CertificateRole),
    /// The root certificate is none of the trust anchors.
    #[error("the root certificate, \"{name}\", is not a trust anchor")]
    UntrustedRoot {
        /// The root's common name, which anyone can choose.
        name: String,
        /// SHA-384 of the root's `SubjectPublicKeyInfo`.
        key_digest: Digest,
    },
    /// The endorsement key's certificate lacks an extension (AMD #57230, tables of the
    /// VCEK and VLEK certificate extensions) or has it in another form.
    #[error("the endorsement key's certificate has no usable \"{0}\" extension")]
    Extension(&'static str),
    /// The certificate has both or neither of chip identity and provider identity, so that
    /// it is neither a VCEK's nor a VLEK's.
    #[error("the endorsement key's certificate is neither a VCEK's nor a VLEK's")]
    KeyKind,
    /// The certificate names a product that is not known here.
    #[error("the endorsement key's certificate names an unknown product")]
    UnknownProduct,
    /// The certificate names another product than the root that it leads to.
    #[error("the endorsement key is for {certificate}, its root is for {root}")]
    RootProduct {
        /// The product in the endorsement key's certificate.
        certificate: Product,
        /// The product of the root.
        root: Product,
    },
    /// A time at which not all of the certificates hold.
    #[error("the endorsement does not hold at the time {now}")]
    OutsideValidity {
        /// The caller's time.
        now: UnixTime,
    },
    /// The firmware was configured not to sign reports.
    #[error("the report is not signed: the host masked the chip's key")]
    Unsigned,
    /// The report names another kind of signing key than the certificate is for.
    #[error("the report names {report} as signing key, the certificate is a {certificate}'s")]
    SigningKeyKind {
        /// The kind in the report.
        report: SigningKey,
        /// The kind of the certificate.
        certificate: KeyKind,
    },
    /// The report's signature was not made by the endorsed key over these bytes.
    #[error("the report's signature does not verify")]
    Signature,
    /// The report comes from another product than the certificate is for.
    #[error("the report comes from {report}, the endorsement key is for {certificate}")]
    ReportProduct {
        /// The product of the report's CPUID fields.
        report: Product,
        /// The product in the certificate.
        certificate: Product,
    },
    /// The report's TCB is not the one that the key was endorsed for.
    #[error("the report's TCB ({report}) is not the one of the endorsement key ({certificate})")]
    Tcb {
        /// `REPORTED_TCB` of the report.
        report: Tcb,
        /// The security versions in the certificate.
        certificate: Tcb,
    },
    /// The report's chip is not the one that the key was endorsed for.
    #[error("the report's chip is not the one of the endorsement key")]
    ChipId,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Report(_) => FailureKind::Malformed,
            Self::OutsideValidity { .. }
            | Self::Missing(_)
            | Self::Certificate {
                role: CertificateRole::Revocations,
                reason: CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
            } => FailureKind::Collateral,
            _ => FailureKind::NotGenuine,
        }
    }
}

/// A certificate's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// The key that signs reports: VCEK or VLEK.
    EndorsementKey,
    /// The authority for endorsement keys: ASK or ASVK.
    SigningAuthority,
    /// The root: ARK.
    Root,
    /// The root's revocation list.
    Revocations,
}

impl fmt::Display for CertificateRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::EndorsementKey => "endorsement key's (VCEK or VLEK)",
            Self::SigningAuthority => "signing authority's (ASK or ASVK)",
            Self::Root => "root (ARK)",
            Self::Revocations => "revocation list's",
        })
    }
}
