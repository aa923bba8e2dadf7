//! NVIDIA GPUs and switches.
//!
//! A device signs its measurements, for a nonce, with a key that NVIDIA certified for it:
//! [`verify`] checks the signature and the chain. What the measurements should be is in
//! NVIDIA's reference integrity manifests, which are not read here.
//!
//! Sources: *Security Protocol and Data Model* (DMTF DSP0274, version 1.1), messages
//! `GET_MEASUREMENTS` and `MEASUREMENTS`; NVIDIA's attestation SDK for the opaque data.

mod error;
mod report;
mod roots;
mod summary;
mod verify;

pub use error::Error;
pub use report::{Block, Report};
pub use roots::{GenuineRoots, NVIDIA_DEVICE_ROOT, SimulatedRoots, TrustAnchors};
pub use verify::{VerifiedReport, verify};
