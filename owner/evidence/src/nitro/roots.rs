//! Trust anchors: AWS's root key, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

/// SHA-384 of the `SubjectPublicKeyInfo` of the AWS Nitro Enclaves root, generation 1.
pub const AWS_NITRO_ROOT: Digest = [
    0x4b, 0x93, 0x04, 0xae, 0x90, 0x24, 0xd8, 0x1a, 0xd3, 0x99, 0x0f, 0xd7, 0xd1, 0x43, 0x02, 0x5d,
    0xd7, 0x2b, 0x15, 0xab, 0xa9, 0x19, 0x61, 0xd0, 0x25, 0x9d, 0x75, 0x7c, 0xb6, 0x29, 0x5c, 0x2b,
    0x4c, 0x3f, 0x10, 0x1e, 0xb8, 0xe5, 0xd2, 0x66, 0xe6, 0xc9, 0xb3, 0x2a, 0xa5, 0x6e, 0xb4, 0x39,
];

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// Whether the key with this digest is one of the anchors.
    fn contains(&self, key_digest: &Digest) -> bool;
}

/// AWS's own root, [`AWS_NITRO_ROOT`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest == AWS_NITRO_ROOT
    }
}

/// Root keys of simulators, by the SHA-384 of their `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, Default)]
pub struct SimulatedRoots(pub Vec<Digest>);

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest != AWS_NITRO_ROOT && self.0.contains(key_digest)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}
