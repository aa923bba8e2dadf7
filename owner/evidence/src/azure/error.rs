//! Why evidence from behind a virtual TPM is not accepted.

use crate::{FailureKind, bytes::Truncated};

/// Why evidence from behind a virtual TPM is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part is longer than any.
    #[error("the vTPM evidence is too large")]
    TooLarge,
    /// It is not JSON of a known shape.
    #[error("the vTPM evidence cannot be read: {0}")]
    Json(String),
    /// A part is missing that its kind of hardware needs.
    #[error("the vTPM evidence's field \"{0}\" is missing or not as expected")]
    Field(&'static str),
    /// A structure ends before it should.
    #[error("the {0} is truncated")]
    Truncated(&'static str),
    /// A structure is not as specified.
    #[error("the {0} is not as specified")]
    Malformed(&'static str),
    /// The hardware's report does not bind the runtime data.
    #[error("the hardware's report data is not the digest of the paravisor's runtime data")]
    RuntimeData,
    /// The report was not asked for at the highest privilege, where the paravisor runs:
    /// the guest itself could have made up the runtime data.
    #[error("the report was made for privilege level {0}, not for the paravisor at 0")]
    Privilege(u32),
    /// The TPM's key did not sign the quote.
    #[error("the TPM quote was not signed by the attestation key in the runtime data")]
    Signature,
    /// The registers are not those that were quoted.
    #[error("the PCR values are not those that the TPM quoted")]
    Registers,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::RuntimeData | Self::Privilege(_) | Self::Signature | Self::Registers => {
                FailureKind::NotGenuine
            }
            _ => FailureKind::Malformed,
        }
    }
}

/// Names the structure that ended early.
pub(super) fn in_the(structure: &'static str) -> impl Fn(Truncated) -> Error {
    move |Truncated| Error::Truncated(structure)
}
