//! Collateral that may be Intel's or a simulator's.

use crate::{Evidence, UnixTime};

use super::{CertificateRole, Collateral, CollateralBytes, Error, GenuineRoots, SimulatedRoots};

/// A [`Collateral`] that may be genuine or simulated.
#[derive(Debug)]
pub enum EitherCollateral {
    /// Intel's.
    Genuine(Collateral<GenuineRoots>),
    /// A simulator's.
    Simulated(Collateral<SimulatedRoots>),
}

impl EitherCollateral {
    /// Verifies collateral at the time `now`; the root among its certificates decides which
    /// kind is tried, and Intel's goes first.
    ///
    /// # Errors
    ///
    /// As [`Collateral::verify`].
    pub fn verify(
        bytes: &CollateralBytes<'_>,
        simulated: &SimulatedRoots,
        now: UnixTime,
    ) -> Result<Self, Error> {
        match Collateral::verify(bytes, GenuineRoots, now) {
            Err(Error::Missing(CertificateRole::Root)) => {
                Collateral::verify(bytes, simulated.clone(), now).map(Self::Simulated)
            }
            genuine => genuine.map(Self::Genuine),
        }
    }

    /// Verifies a quote at the time `now`, whose own chain must lead to the same root.
    ///
    /// # Errors
    ///
    /// As [`Collateral::verify_quote`].
    pub fn verify_quote(&self, quote: &[u8], now: UnixTime) -> Result<Evidence, Error> {
        match self {
            Self::Genuine(collateral) => {
                let quote = collateral.verify_quote(quote, now)?;
                Ok(Evidence::Genuine(quote.into()))
            }
            Self::Simulated(collateral) => {
                let quote = collateral.verify_quote(quote, now)?;
                Ok(Evidence::Simulated(quote.into()))
            }
        }
    }
}
