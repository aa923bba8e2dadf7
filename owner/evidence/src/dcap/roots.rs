//! Trust anchors: Intel's SGX root key, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

/// SHA-384 of the `SubjectPublicKeyInfo` of the Intel SGX Root CA (*SGX PCK Certificate
/// and CRL Profile*, section 1.3.1).
pub const INTEL_SGX_ROOT: Digest = [
    0x3c, 0xdf, 0x1f, 0xeb, 0x4e, 0x5e, 0xac, 0x62, 0x91, 0x70, 0xf1, 0x76, 0x25, 0x64, 0x8d, 0xa4,
    0xa1, 0x6e, 0xff, 0xa2, 0x2a, 0xe2, 0xbc, 0xca, 0x03, 0x0b, 0x43, 0x58, 0xa8, 0x96, 0x1c, 0x1b,
    0xf2, 0x6c, 0xf5, 0x4a, 0x95, 0x98, 0xcd, 0x6a, 0x2d, 0x4a, 0x9c, 0xbb, 0x62, 0x37, 0x7d, 0x22,
];

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// Whether the key with this digest is one of the anchors.
    fn contains(&self, key_digest: &Digest) -> bool;
}

/// Intel's own root, [`INTEL_SGX_ROOT`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest == INTEL_SGX_ROOT
    }
}

/// Root keys of simulators, by the SHA-384 of their `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, Default)]
pub struct SimulatedRoots(pub Vec<Digest>);

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn contains(&self, key_digest: &Digest) -> bool {
        *key_digest != INTEL_SGX_ROOT && self.0.contains(key_digest)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}
