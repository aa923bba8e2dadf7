//! AWS Nitro Enclaves.
//!
//! The hypervisor signs an attestation document with a key that AWS certifies for the
//! machine, for a few hours: [`verify`] checks the signature and the chain.
//!
//! Source: *AWS Nitro Enclaves User Guide*, verifying the root of trust; *Nitro Enclaves
//! attestation process* (aws-nitro-enclaves-nsm-api).

mod document;
mod error;
mod roots;
mod summary;
mod verify;

pub use document::Document;
pub use error::Error;
pub use roots::{AWS_NITRO_ROOT, GenuineRoots, SimulatedRoots, TrustAnchors};
pub use verify::{VerifiedDocument, verify};
