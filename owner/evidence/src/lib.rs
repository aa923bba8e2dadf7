//! Verification of attestation evidence, offline.
//!
//! Evidence is what a Keep's hardware signed about it. This crate answers one
//! question: *was this said by the hardware that it claims to come from?* Whether
//! the owner likes what was said is the next crate's question
//! (`enarx-owner-appraisal`).
//!
//! ```text
//!   report bytes ----------------------------------------+
//!                                                         v
//!   certificates --verify--> EndorsementKey<A> --verify_report--> VerifiedEvidence<A>
//!                   ^                                                    |
//!   trust anchors --+                                                    v
//!   (their type is A)                                      Summary, the same words for
//!                                                          every technology
//! ```
//!
//! `A` is [`Genuine`] or [`Simulated`]. It is decided by the *type* of the trust
//! anchors, stays in the type of every result, and has no conversion: evidence of a
//! simulator cannot reach a place that asks for genuine evidence. [`Evidence`] is
//! for those who accept either and look at which it is.
//!
//! Nothing here performs I/O, reads a clock, or panics on what it is given, and all
//! sizes are bounded before anything is parsed. Each technology has a module of its
//! own: [`snp`] for AMD SEV-SNP, [`dcap`] for Intel SGX and TDX, [`cca`] for Arm, [`nitro`]
//! for AWS, [`nvidia`] for GPUs, and [`azure`] for virtual TPMs in front of the first two. What
//! attests no running guest is beside them: [`sev`] before SEV-SNP, and [`se`], IBM's.

mod assurance;
pub mod azure;
mod bytes;
pub mod cca;
mod cose;
pub mod dcap;
pub mod event_log;
mod explanation;
pub mod materials;
mod names;
pub mod nitro;
pub mod nvidia;
pub mod se;
pub mod sev;
mod simulated;
pub mod snp;
mod summary;
mod technology;
mod text;
mod time;
mod verified;
mod x509;

pub use assurance::{AnchorKind, Assurance, Genuine, Simulated};
pub use cose::CoseError;
pub use explanation::{FailureKind, Step};
pub use names::Names;
pub use simulated::SimulatedRoots;
pub use summary::{Flag, Number, Summary, TcbComponent, Value};
pub use technology::{Technology, UnknownTechnology};
pub use time::{UnixTime, Validity};
pub use verified::{Evidence, VerifiedEvidence};
pub use x509::CertificateError;

/// A SHA-384 digest.
pub type Digest = [u8; 48];
