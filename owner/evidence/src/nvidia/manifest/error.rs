//! Why a manifest is not accepted.

use crate::{CertificateError, FailureKind};

use super::xml::MAX_BYTES;

/// Why a manifest is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is longer than any.
    #[error("it has {0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// It is not XML, or has of XML what no manifest needs.
    #[error("it is not XML of the plain kind that manifests are: {0}")]
    Xml(&'static str),
    /// A part of it is not as specified.
    #[error("its {0} is not as specified")]
    Part(&'static str),
    /// It has no signature.
    #[error("it has no signature")]
    Unsigned,
    /// It has more than one signature.
    #[error("it has more than one signature")]
    SeveralSignatures,
    /// The signature is of another form than NVIDIA's, or not over the whole of it.
    #[error(
        "its signature's {0} is not NVIDIA's, an enveloped signature over the whole with ECDSA \
         on P-384, SHA-384 and Canonical XML 1.1"
    )]
    Form(&'static str),
    /// It is not what was signed.
    #[error("it is not what was signed")]
    Digest,
    /// The signer did not sign it.
    #[error("it was not signed by the key of its first certificate")]
    Signature,
    /// A certificate of its chain is not what its place demands.
    #[error("certificate {index} of its chain, counted from the signer's, {error}")]
    Certificate {
        /// Its place, 0 for the signer's.
        index: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain ends at a root that is no trust anchor.
    #[error("the root certificate of its chain is not a trust anchor")]
    UntrustedRoot,
}

impl ManifestError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TooLarge(_) | Self::Xml(_) | Self::Part(_) => FailureKind::Malformed,
            _ => FailureKind::NotGenuine,
        }
    }
}
