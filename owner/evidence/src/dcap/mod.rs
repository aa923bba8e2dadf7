//! Intel SGX and TDX, by DCAP quotes.
//!
//! A quoting enclave (QE) signs an enclave's or a TD's report with its attestation key;
//! the platform's PCK certificate, which Intel issued, vouches for the QE. What Intel
//! publishes beside that (TCB info, the QE's identity, revocation lists) says what the
//! platform is worth.
//!
//! ```text
//!   CollateralBytes, anchors --Collateral::verify--> Collateral
//!                                                        |
//!   quote ------------------------------------ verify_quote --> VerifiedQuote
//! ```
//!
//! [`EitherCollateral`] takes genuine and simulated collateral; [`Collateral`] with
//! [`GenuineRoots`] takes nothing that a simulator made.
//!
//! [`verify_signatures`] does without TCB info and identity, and is **no verdict**: any
//! enclave of a genuine platform could have signed, and the platform may be one that Intel
//! has given up on.
//!
//! Sources: *Intel SGX ECDSA QuoteGenReference API* (appendix A: quote version 3), *Intel
//! TDX DCAP Quoting Library API* (appendix A: versions 4 and 5), *Intel SGX PCK Certificate
//! and CRL Profile Specification*, *Intel PCS API version 4* (TCB info, enclave identity).

mod chain;
mod collateral;
mod completion;
mod document;
mod either;
mod error;
mod identity;
mod pck;
mod quote;
mod report;
mod roots;
mod selection;
mod status;
mod summary;
mod tcb_info;
mod verdict;
mod verify;

pub use collateral::{Collateral, CollateralBytes};
pub use completion::with_certificates;
pub use either::EitherCollateral;
pub use error::{CertificateRole, DocumentError, DocumentRole, Error, QuoteError};
pub use pck::{Platform, SgxType};
pub use quote::Quote;
pub use report::{Body, EnclaveReport, Kind, TdReport, TdReport15};
pub use roots::{GenuineRoots, INTEL_SGX_ROOT, SIMULATED_ROOT_NAME, SimulatedRoots, TrustAnchors};
pub use selection::Candidates;
pub use status::TcbStatus;
pub use verdict::VerifiedQuote;
pub use verify::{RevocationLists, SignedQuote, verify_signatures};
