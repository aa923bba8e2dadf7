//! NVIDIA GPUs and switches.
//!
//! A device signs its measurements, for a nonce, with a key that NVIDIA certified for it:
//! [`verify`] checks the signature and the chain. What the measurements should be is in
//! NVIDIA's reference integrity manifests: [`verify_manifest`] checks theirs, and
//! [`VerifiedReport::compare`] compares.
//!
//! Sources: *Security Protocol and Data Model* (DMTF DSP0274, version 1.1), messages
//! `GET_MEASUREMENTS` and `MEASUREMENTS`; NVIDIA's attestation SDK for the opaque data.

mod compare;
mod error;
mod manifest;
mod report;
mod roots;
mod summary;
mod verify;

pub use compare::Part;
pub use error::Error;
pub(crate) use manifest::begins_manifest;
pub use manifest::{ManifestError, Reference, VerifiedManifest, verify_manifest};
pub use report::{Block, Report};
pub use roots::{
    GenuineRoots, NVIDIA_DEVICE_ROOT, NVIDIA_MANIFEST_ROOT, SimulatedRoots, TrustAnchors,
};
pub use verify::{VerifiedReport, verify};
