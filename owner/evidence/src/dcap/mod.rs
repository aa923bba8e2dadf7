//! Intel SGX and TDX, by DCAP quotes.
//!
//! A quoting enclave (QE) signs an enclave's or a TD's report with its attestation key;
//! the platform's PCK certificate, which Intel issued, vouches for the QE. [`Quote::parse`]
//! reads a quote, [`verify_signatures`] follows the signatures up to Intel's root, and looks at
//! revocation lists. **This is not a verdict.** Neither TCB info nor QE identity is looked
//! at: the platform may be one that Intel has given up on, and the signing enclave any
//! enclave of a genuine platform, not only Intel's QE. The debug flag is data of the
//! result, for the policy.
//!
//! Sources: *Intel SGX ECDSA QuoteGenReference API* (appendix A: quote version 3), *Intel
//! TDX DCAP Quoting Library API* (appendix A: versions 4 and 5), *Intel SGX PCK Certificate
//! and CRL Profile Specification*.

mod chain;
mod error;
mod pck;
mod quote;
mod report;
mod roots;
mod status;
mod verify;

pub use error::{CertificateRole, Error, QuoteError};
pub use pck::Platform;
pub use quote::Quote;
pub use report::{Body, EnclaveReport, Kind, TdReport, TdReport15};
pub use roots::{GenuineRoots, INTEL_SGX_ROOT, SimulatedRoots, TrustAnchors};
pub use status::TcbStatus;
pub use verify::{RevocationLists, SignedQuote, verify_signatures};
