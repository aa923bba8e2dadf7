//! Trust anchors: NVIDIA's root keys, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

/// SHA-384 of the `SubjectPublicKeyInfo` of the NVIDIA Device Identity CA.
pub const NVIDIA_DEVICE_ROOT: Digest = [
    0xe1, 0x08, 0xf6, 0x1d, 0xe3, 0xfc, 0xe5, 0x26, 0x11, 0x51, 0xf8, 0xa0, 0xeb, 0x56, 0x2a, 0x92,
    0x06, 0x39, 0xef, 0x1b, 0x0f, 0xce, 0xbb, 0xa7, 0x85, 0xee, 0x52, 0xf5, 0x44, 0x20, 0xe4, 0x24,
    0x8b, 0xe3, 0x40, 0x03, 0x66, 0xd4, 0x5c, 0x28, 0x80, 0xbd, 0xf1, 0x30, 0x44, 0x32, 0x53, 0x93,
];

/// SHA-384 of the `SubjectPublicKeyInfo` of the NVIDIA CoRIM signing Root CA, under which
/// manifests are signed.
pub const NVIDIA_MANIFEST_ROOT: Digest = [
    0x62, 0xd5, 0xdc, 0x52, 0x61, 0x12, 0x22, 0x69, 0x4c, 0x68, 0x9e, 0xba, 0x23, 0x53, 0x31, 0xcf,
    0x73, 0xcd, 0x69, 0x30, 0x8e, 0xa7, 0x63, 0x72, 0x0a, 0x49, 0x87, 0xee, 0xde, 0x99, 0x65, 0x7c,
    0x17, 0x6e, 0x94, 0x27, 0x41, 0x69, 0xa8, 0x06, 0x3a, 0xf5, 0xb1, 0x1f, 0x8e, 0xba, 0x79, 0x90,
];

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// Whether the key with this digest is one of the anchors of devices.
    fn contains(&self, key_digest: &Digest) -> bool;

    /// Whether the key with this digest is one of the anchors of manifests.
    fn vouches_for_manifests(&self, key_digest: &Digest) -> bool;
}

/// NVIDIA's own roots, [`NVIDIA_DEVICE_ROOT`] and [`NVIDIA_MANIFEST_ROOT`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest == NVIDIA_DEVICE_ROOT
    }

    fn vouches_for_manifests(&self, key_digest: &Digest) -> bool {
        *key_digest == NVIDIA_MANIFEST_ROOT
    }
}

/// Root keys of simulators, by the SHA-384 of their `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, Default)]
pub struct SimulatedRoots(pub Vec<Digest>);

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn contains(&self, key_digest: &Digest) -> bool {
        let genuine = [NVIDIA_DEVICE_ROOT, NVIDIA_MANIFEST_ROOT];
        !genuine.contains(key_digest) && self.0.contains(key_digest)
    }

    fn vouches_for_manifests(&self, key_digest: &Digest) -> bool {
        self.contains(key_digest)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}
