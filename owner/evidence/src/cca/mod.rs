//! Arm Confidential Compute Architecture.
//!
//! A token has two parts: the platform's, signed with the platform's attestation key
//! (CPAK), and the realm's, signed with a key that the platform's part binds. [`verify`]
//! checks both signatures and the binding.
//!
//! No public evidence of silicon exists: this was tried with tokens of emulators and of
//! the tests' own making. Nor does Arm publish a root key: whoever verifies names the
//! [`PlatformKey`] that is trusted, and what it vouches for is in its type.
//!
//! Sources: draft-ffm-rats-cca-token; *Realm Management Monitor specification* (Arm DEN0137),
//! attestation tokens.

mod claims;
mod error;
mod key;
mod summary;
mod verify;

pub use claims::{Lifecycle, PlatformClaims, RealmClaims};
pub use error::Error;
pub use key::PlatformKey;
pub use verify::{VerifiedToken, verify};
