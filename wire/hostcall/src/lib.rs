//! What a Keep and its host say to each other.
//!
//! The runtime is one ordinary program in every kind of Keep. It is started with
//! an empty environment and exactly these descriptors:
//!
//! | descriptor | what it is |
//! |---|---|
//! | 0, 1 | `/dev/null` |
//! | 2 | diagnostics: fixed sentences for the host's operator, never a secret |
//! | [`CHANNEL`] | stream to the host: [`envelope`]s |
//! | [`ATTESTATION_DEVICE`] | stream to the TEE: [`attestation`] requests |
//!
//! A shim that serves the runtime asks its host through [`call`]s.
//!
//! The attestation device is served by the shim, inside the TEE. Only the
//! `process` backend, which isolates nothing, has the launcher serve it.
//!
//! Everything that arrives on the channel comes from the adversary. The formats
//! here are fixed and small: no lengths are trusted before they are compared with
//! a constant, and nothing is allocated in this crate.

#![no_std]

pub mod attestation;
pub mod call;
pub mod envelope;
pub mod lookup;

/// The descriptor of the stream between Keep and host.
pub const CHANNEL: i32 = 3;

/// The descriptor of the stream between the runtime and its TEE.
pub const ATTESTATION_DEVICE: i32 = 4;

/// The descriptor of diagnostics.
pub const DIAGNOSTICS: i32 = 2;

/// Reads a little-endian `u32` at `offset` of a fixed-size header.
fn u32_at<const N: usize>(bytes: &[u8; N], offset: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(value)
}
