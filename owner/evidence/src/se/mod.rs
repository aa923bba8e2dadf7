//! IBM Secure Execution: host key documents.
//!
//! Such a document is the certificate of the key with which images are encrypted for a
//! machine, and requests for its attestation. To know that it is IBM's is the first thing that
//! an owner needs; it attests no running guest, so no Keep can use it.
//!
//! ```text
//!   host key <- IBM's signing key <- an authority <- a root that the caller names
//! ```
//!
//! IBM has its signing key certified by a public authority that certifies many others, so no
//! root is inside here: whoever verifies names the one that is trusted, and the result says
//! which it was.
//!
//! Source: *Introducing IBM Secure Execution for Linux*, verifying the host key document;
//! `pvimg` and `pvattest` of s390-tools, certificate verification.

mod error;
mod names;
mod verify;

pub use error::{Error, Role};
pub use verify::{VerifiedHostKey, roots, verify_host_key};

pub(crate) use verify::is_host_key;
