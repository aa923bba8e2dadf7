//! Appraisal of evidence: may this Keep have the owner's application?
//!
//! ```text
//!   Evidence (verified) --+
//!   platform it claims  --+--> appraise --> Verdict --accept--> Accepted
//!   report data expected -+       ^            |
//!   Policy, ReferenceValues ------+            +--> every check with expected and
//!                                                   actual value, source and remedy
//! ```
//!
//! The policy is the owner's, never the host's. A [`Verdict`] lists every check, those
//! that passed too, for people ([`Display`](core::fmt::Display)) and for programs
//! (`serde::Serialize`). Its level is [`Level::Genuine`] for genuine evidence alone;
//! simulated evidence gets [`Level::Simulated`] at best, and that only from a policy that
//! says `simulation = "allow"`.
//!
//! An [`Accepted`] can be had only from a verdict that did not reject. Code that lets
//! something of the application out asks for one, so that it cannot be reached without
//! an appraisal.
//!
//! Nothing here performs I/O or reads a clock.

mod appraise;
mod cbor;
pub mod corim;
mod cose;
pub mod ear;
mod error;
mod policy;
mod profile;
mod reference;
mod signature;
mod source;
mod value;
mod verdict;

pub use appraise::{BareEvidence, Submission, appraise, appraise_evidence};
pub use cbor::CborError;
pub use cose::CoseError;
pub use error::{PolicyError, Position};
pub use policy::{
    AcceptedMeasurement, MinimumSnpTcb, MinimumSnpTcbs, MinimumTcb, Permission, Policy, Revocation,
    TechnologyRules,
};
pub use profile::{Profile, UnknownProfile};
pub use reference::ReferenceValues;
pub use signature::{KeyError, SignatureAlgorithm, SigningError, SigningKey, VerifyingKey};
pub use verdict::{Accepted, Check, Level, Rejected, Verdict};
