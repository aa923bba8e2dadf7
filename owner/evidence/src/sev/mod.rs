//! AMD SEV before SEV-SNP: the certificates of a platform.
//!
//! Such a platform attests no running guest, so no Keep can use it. What can be verified is
//! that a platform is AMD's: from the key with which owners agree on secrets (PDH) up to
//! AMD's root.
//!
//! ```text
//!   PDH <- PEK <-+- OCA <- OCA          (the platform's owner)
//!                +- CEK <- ASK <- ARK   (AMD)
//! ```
//!
//! Source: *Secure Encrypted Virtualization API* (AMD #55766), appendices B and C.

mod authority;
mod certificate;
mod error;
mod verify;

pub use error::{Error, Role};
pub use verify::{AMD_SEV_ROOTS, VerifiedPlatform, verify_platform};

pub(crate) use authority::Authority;
pub(crate) use certificate::Certificate;
