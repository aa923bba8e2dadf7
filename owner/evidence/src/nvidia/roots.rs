//! Trust anchors: NVIDIA's root key, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

/// SHA-384 of the `SubjectPublicKeyInfo` of the NVIDIA Device Identity CA.
pub const NVIDIA_DEVICE_ROOT: Digest = [
    0xe1, 0x08, 0xf6, 0x1d, 0xe3, 0xfc, 0xe5, 0x26, 0x11, 0x51, 0xf8, 0xa0, 0xeb, 0x56, 0x2a, 0x92,
    0x06, 0x39, 0xef, 0x1b, 0x0f, 0xce, 0xbb, 0xa7, 0x85, 0xee, 0x52, 0xf5, 0x44, 0x20, 0xe4, 0x24,
    0x8b, 0xe3, 0x40, 0x03, 0x66, 0xd4, 0x5c, 0x28, 0x80, 0xbd, 0xf1, 0x30, 0x44, 0x32, 0x53, 0x93,
];

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// Whether the key with this digest is one of the anchors.
    fn contains(&self, key_digest: &Digest) -> bool;
}

/// NVIDIA's own root, [`NVIDIA_DEVICE_ROOT`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest == NVIDIA_DEVICE_ROOT
    }
}

/// Root keys of simulators, by the SHA-384 of their `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, Default)]
pub struct SimulatedRoots(pub Vec<Digest>);

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest != NVIDIA_DEVICE_ROOT && self.0.contains(key_digest)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}
