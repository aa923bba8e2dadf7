//! Trust anchors: Intel's SGX root key, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

pub use crate::SimulatedRoots;

/// SHA-384 of the `SubjectPublicKeyInfo` of the Intel SGX Root CA (*SGX PCK Certificate
/// and CRL Profile*, section 1.3.1).
pub const INTEL_SGX_ROOT: Digest = [
    0x3c, 0xdf, 0x1f, 0xeb, 0x4e, 0x5e, 0xac, 0x62, 0x91, 0x70, 0xf1, 0x76, 0x25, 0x64, 0x8d, 0xa4,
    0xa1, 0x6e, 0xff, 0xa2, 0x2a, 0xe2, 0xbc, 0xca, 0x03, 0x0b, 0x43, 0x58, 0xa8, 0x96, 0x1c, 0x1b,
    0xf2, 0x6c, 0xf5, 0x4a, 0x95, 0x98, 0xcd, 0x6a, 0x2d, 0x4a, 0x9c, 0xbb, 0x62, 0x37, 0x7d, 0x22,
];

/// Subject common name by which a simulator's root is known to be one.
pub const SIMULATED_ROOT_NAME: &str = "Enarx Simulator SGX Root CA";

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// Whether the root with this key and name is one of the anchors.
    fn contains(&self, key_digest: &Digest, common_name: &str) -> bool;
}

/// Intel's own root, [`INTEL_SGX_ROOT`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn contains(&self, key_digest: &Digest, _common_name: &str) -> bool {
        *key_digest == INTEL_SGX_ROOT
    }
}

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn contains(&self, key_digest: &Digest, common_name: &str) -> bool {
        *key_digest != INTEL_SGX_ROOT && self.list(key_digest, common_name, SIMULATED_ROOT_NAME)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_intel_is_never_a_simulators() {
        assert!(GenuineRoots.contains(&INTEL_SGX_ROOT, ""));
        for roots in [
            SimulatedRoots::Any,
            SimulatedRoots::Pinned(vec![INTEL_SGX_ROOT]),
        ] {
            assert!(!roots.contains(&INTEL_SGX_ROOT, SIMULATED_ROOT_NAME));
        }
    }

    #[test]
    fn simulated_roots_are_found_by_exact_name_or_by_pin() {
        let digest = [7; 48];
        let any = SimulatedRoots::Any;
        assert!(any.contains(&digest, SIMULATED_ROOT_NAME));
        for other in ["Intel SGX Root CA", "Enarx Simulator ARK", ""] {
            assert!(!any.contains(&digest, other));
        }
        let pinned = SimulatedRoots::Pinned(vec![digest]);
        assert!(pinned.contains(&digest, "whatever it is named"));
        assert!(!pinned.contains(&[8; 48], SIMULATED_ROOT_NAME));
        assert!(!SimulatedRoots::None.contains(&digest, SIMULATED_ROOT_NAME));
    }
}
