//! Why materials are not enough.

use crate::{FailureKind, azure, cca, dcap, event_log::EventLogError, nitro, nvidia, se, sev, snp};

use super::{MAX_FILE_BYTES, json::MAX_JSON_BYTES};

/// Why evidence among materials was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no evidence among the files")]
    NoEvidence,
    /// There is more than one piece, and it is not clear which is meant.
    #[error("there are {0} pieces of evidence among the files: give one at a time")]
    Several(usize),
    /// One device's reports stand for several devices.
    #[error("this is a report of the same device as another one: it cannot stand for two")]
    SameDevice,
    /// There are only the certificates of a platform that cannot attest what runs there.
    #[error(
        "the certificates are those of a {0} platform with AMD SEV, which is genuine and attests \
         nothing: only SEV-SNP does"
    )]
    SevPlatform(&'static str),
    /// The certificates of a platform with AMD SEV did not verify.
    #[error(transparent)]
    Sev(#[from] sev::Error),
    /// There is only the certificate of a machine's key, which attests nothing of what runs there.
    #[error(
        "the certificates are of a machine's key for IBM Secure Execution, which is genuine if you \
         rightly trust `{0}`, and attests nothing of what runs there"
    )]
    HostKey(String),
    /// There are only NVIDIA's reference values, of these versions, and no report of a device.
    #[error(
        "there are only NVIDIA's manifests of {0}, which are genuine, and no report of a device to \
         compare with them"
    )]
    Manifest(String),
    /// A host key document of IBM Secure Execution did not verify.
    #[error(transparent)]
    Se(#[from] se::Error),
    /// AMD SEV-SNP evidence did not verify.
    #[error(transparent)]
    Snp(#[from] snp::Error),
    /// Intel SGX or TDX evidence did not verify.
    #[error(transparent)]
    Dcap(#[from] dcap::Error),
    /// An Arm CCA token did not verify.
    #[error(transparent)]
    Cca(#[from] cca::Error),
    /// An AWS Nitro document did not verify.
    #[error(transparent)]
    Nitro(#[from] nitro::Error),
    /// Azure's virtual TPM did not verify.
    #[error(transparent)]
    Azure(#[from] azure::Error),
    /// Microsoft's endorsement beside the report did not verify, or is of something else.
    #[error(transparent)]
    Uvm(#[from] azure::UvmError),
    /// The event log beside the evidence is not that of the evidence.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// An NVIDIA report did not verify.
    #[error(transparent)]
    Nvidia(#[from] nvidia::Error),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoEvidence
            | Self::Several(_)
            | Self::SevPlatform(_)
            | Self::HostKey(_)
            | Self::Manifest(_) => FailureKind::Malformed,
            Self::SameDevice => FailureKind::NotGenuine,
            Self::Se(error) => error.kind(),
            Self::Sev(sev::Error::Malformed(_)) => FailureKind::Malformed,
            Self::Sev(sev::Error::Missing(_)) => FailureKind::Collateral,
            Self::Sev(_) => FailureKind::NotGenuine,
            Self::Snp(error) => error.kind(),
            Self::Dcap(error) => error.kind(),
            Self::Cca(error) => error.kind(),
            Self::Nitro(error) => error.kind(),
            Self::EventLog(EventLogError::Mismatch(_)) => FailureKind::NotGenuine,
            Self::EventLog(_) => FailureKind::Malformed,
            Self::Azure(error) => error.kind(),
            Self::Uvm(error) => error.kind(),
            Self::Nvidia(error) => error.kind(),
        }
    }
}

/// Why a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognized {
    /// It is longer than anything that is looked at.
    #[error("has {0} bytes, more than {MAX_FILE_BYTES}")]
    TooLarge(usize),
    /// It is JSON, and longer than any that is looked at.
    #[error("is JSON of {0} bytes, more than {MAX_JSON_BYTES}")]
    LargeJson(usize),
    /// There are too many files.
    #[error("is one file too many")]
    TooMany,
    /// It is neither evidence nor anything that endorses it.
    #[error("is neither evidence nor an endorsement that is known here")]
    Unknown,
}
