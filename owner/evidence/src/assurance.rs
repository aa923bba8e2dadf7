//! The two kinds of trust anchor, as types and as a value.

use core::fmt;

/// What a trust anchor vouches for; implemented by [`Genuine`] and [`Simulated`] only.
pub trait Assurance: sealed::Sealed + Copy + fmt::Debug + 'static {
    /// The same as a value.
    const KIND: AnchorKind;
}

/// The anchor is a hardware vendor's: evidence under it was signed by a real TEE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Genuine {}

/// The anchor is a simulator's: evidence under it shows that the machinery works, and
/// protects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulated {}

impl Assurance for Genuine {
    const KIND: AnchorKind = AnchorKind::Genuine;
}

impl Assurance for Simulated {
    const KIND: AnchorKind = AnchorKind::Simulated;
}

/// Which kind of trust anchor a verification ended at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnchorKind {
    /// A hardware vendor's.
    Genuine,
    /// A simulator's.
    Simulated,
}

impl AnchorKind {
    /// `genuine` or `simulated`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for AnchorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Genuine {}
    impl Sealed for super::Simulated {}
}
