//! Why a platform is not accepted.

use core::fmt;

/// Why the certificates of a platform are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A certificate is not as AMD specifies it.
    #[error("a certificate is not as AMD #55766 specifies it: {0}")]
    Malformed(&'static str),
    /// A certificate is not there.
    #[error("there is no {0}")]
    Missing(Role),
    /// A certificate was not signed by the one above it.
    #[error("the {role} was not signed by {signers}", role = .0, signers = .0.signers())]
    Signature(Role),
    /// The root is not AMD's.
    #[error("the ARK is not a trust anchor")]
    UntrustedRoot,
}

/// Which certificate of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// AMD's root.
    Ark,
    /// AMD's signing key.
    Ask,
    /// The chip's endorsement key.
    Cek,
    /// The owner's authority.
    Oca,
    /// The platform's endorsement key.
    Pek,
    /// The platform's key for agreeing on secrets.
    Pdh,
}

impl Role {
    const fn signers(self) -> &'static str {
        match self {
            Self::Ark | Self::Ask => "the ARK",
            Self::Cek => "the ASK",
            Self::Oca => "itself",
            Self::Pek => "the OCA and the CEK",
            Self::Pdh => "the PEK",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ark => "ARK",
            Self::Ask => "ASK",
            Self::Cek => "CEK",
            Self::Oca => "OCA",
            Self::Pek => "PEK",
            Self::Pdh => "PDH",
        })
    }
}
