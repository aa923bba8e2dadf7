//! Why a token is not accepted.

use crate::{CoseError, FailureKind};

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a collection of a platform's and a realm's token.
    #[error("the token is not a CCA token: {0}")]
    Collection(&'static str),
    /// The platform's part cannot be read, or its signature is not the platform key's.
    #[error("the platform's token {0}")]
    Platform(CoseError),
    /// The realm's part cannot be read, or its signature is not the realm key's.
    #[error("the realm's token {0}")]
    Realm(CoseError),
    /// A claim is missing, or not as specified.
    #[error("the {part}'s claim \"{claim}\" is missing or not as specified")]
    Claim {
        /// `platform` or `realm`.
        part: &'static str,
        /// The claim.
        claim: &'static str,
    },
    /// The platform does not vouch for the realm's key.
    #[error("the platform's challenge is not the digest of the realm's key")]
    Binding,
    /// The platform is in a state in which its word counts for nothing.
    #[error("the platform's lifecycle state {0:#06x} is not one in which it can be trusted")]
    Lifecycle(u16),
    /// The platform key cannot be read.
    #[error("the platform key is not a key on P-256, P-384 or P-521: {0}")]
    PlatformKey(&'static str),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Platform(CoseError::Signature | CoseError::Curve)
            | Self::Realm(CoseError::Signature | CoseError::Curve)
            | Self::Binding
            | Self::Lifecycle(_) => FailureKind::NotGenuine,
            Self::PlatformKey(_) => FailureKind::Collateral,
            Self::Collection(_) | Self::Platform(_) | Self::Realm(_) | Self::Claim { .. } => {
                FailureKind::Malformed
            }
        }
    }
}
