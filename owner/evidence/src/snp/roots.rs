//! Trust anchors: AMD's root keys, and those of simulators.

use core::fmt;

use crate::{Assurance, Digest, Genuine, Simulated};

pub use crate::SimulatedRoots;

use super::Product;

/// A root key of AMD's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmdRoot {
    /// The product whose endorsement keys it leads to.
    pub product: Product,
    /// SHA-384 of its `SubjectPublicKeyInfo`.
    pub key_digest: Digest,
}

/// AMD's root keys (ARK), as its Key Distribution Service gives them at
/// `https://kdsintf.amd.com/vcek/v1/{product}/cert_chain` (AMD #57230).
pub const AMD_ROOTS: [AmdRoot; 3] = [
    AmdRoot {
        product: Product::Milan,
        key_digest: MILAN_KEY_DIGEST,
    },
    AmdRoot {
        product: Product::Genoa,
        key_digest: GENOA_KEY_DIGEST,
    },
    AmdRoot {
        product: Product::Turin,
        key_digest: TURIN_KEY_DIGEST,
    },
];

/// Subject common name by which a simulator's root is known to be one.
pub const SIMULATED_ROOT_NAME: &str = "Enarx Simulator ARK";

/// A set of trust anchors, all of one kind; implemented by [`GenuineRoots`] and
/// [`SimulatedRoots`] only.
pub trait TrustAnchors: sealed::Sealed + fmt::Debug {
    /// What the anchors vouch for.
    type Assurance: Assurance;

    /// What is known of the root with this key and name when it is one of the anchors.
    fn find(&self, key_digest: &Digest, common_name: &str) -> Option<KnownRoot>;
}

/// What a trust anchor implies for the certificates below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRoot {
    /// The only product that it may endorse, if it is restricted to one.
    pub product: Option<Product>,
}

/// AMD's own roots, [`AMD_ROOTS`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GenuineRoots;

impl TrustAnchors for GenuineRoots {
    type Assurance = Genuine;

    fn find(&self, key_digest: &Digest, _common_name: &str) -> Option<KnownRoot> {
        AMD_ROOTS
            .iter()
            .find(|root| root.key_digest == *key_digest)
            .map(|root| KnownRoot {
                product: Some(root.product),
            })
    }
}

impl TrustAnchors for SimulatedRoots {
    type Assurance = Simulated;

    fn find(&self, key_digest: &Digest, common_name: &str) -> Option<KnownRoot> {
        let listed = self.list(key_digest, common_name, SIMULATED_ROOT_NAME);
        let genuine = GenuineRoots.find(key_digest, common_name).is_some();
        (listed && !genuine).then_some(KnownRoot { product: None })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GenuineRoots {}
    impl Sealed for super::SimulatedRoots {}
}

const MILAN_KEY_DIGEST: Digest = [
    0x12, 0x49, 0xf6, 0x7f, 0x15, 0xcf, 0x22, 0x9a, 0x40, 0x69, 0x19, 0x5e, 0x1a, 0x9c, 0xe5, 0x37,
    0xd1, 0x76, 0x5e, 0xf7, 0x06, 0xa1, 0xf4, 0xa1, 0x23, 0xc3, 0x6b, 0xe9, 0x51, 0x87, 0x86, 0x51,
    0x5d, 0x25, 0xec, 0xc0, 0x07, 0xf3, 0x66, 0xb5, 0x64, 0xd2, 0xb3, 0xf3, 0x1c, 0x48, 0x08, 0x2e,
];
const GENOA_KEY_DIGEST: Digest = [
    0x32, 0xab, 0x53, 0xa6, 0xce, 0x5e, 0xc1, 0x49, 0x26, 0x20, 0x73, 0x96, 0xe5, 0xc4, 0x75, 0xae,
    0x76, 0x8a, 0x6a, 0x98, 0x31, 0xb7, 0xe8, 0x60, 0xb5, 0xac, 0xf2, 0xe1, 0xc1, 0xdf, 0xf2, 0x22,
    0xbc, 0x5a, 0x8b, 0xfc, 0x43, 0xeb, 0x5e, 0x06, 0x39, 0x31, 0x89, 0xc1, 0xf2, 0x46, 0xd8, 0x80,
];
const TURIN_KEY_DIGEST: Digest = [
    0x34, 0x75, 0xf0, 0x8a, 0x97, 0x27, 0xf8, 0xac, 0x9a, 0x1d, 0xea, 0xea, 0x5f, 0x2a, 0x20, 0x97,
    0xaa, 0x59, 0xd6, 0x4d, 0x05, 0xc2, 0xa6, 0x78, 0xc2, 0x29, 0xc8, 0x73, 0xe6, 0x35, 0x9d, 0x3a,
    0x69, 0x26, 0x28, 0x7a, 0x2a, 0x22, 0xcd, 0x5f, 0x88, 0xa3, 0x85, 0xe3, 0x33, 0xa2, 0xfc, 0xc5,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_amd_is_never_a_simulators() {
        let genuine = AMD_ROOTS.map(|root| root.key_digest);
        let pinned = SimulatedRoots::Pinned(genuine.to_vec());
        for digest in &genuine {
            assert!(GenuineRoots.find(digest, "").is_some());
            assert_eq!(pinned.find(digest, SIMULATED_ROOT_NAME), None);
            assert_eq!(SimulatedRoots::Any.find(digest, SIMULATED_ROOT_NAME), None);
        }
    }

    #[test]
    fn simulated_roots_are_found_by_exact_name_or_by_pin() {
        let digest = [7; 48];
        let any = SimulatedRoots::Any;
        assert!(any.find(&digest, SIMULATED_ROOT_NAME).is_some());
        assert!(any.find(&digest, "enarx simulator ark").is_none());
        assert!(any.find(&digest, "Enarx Simulator ARK 2").is_none());
        let pinned = SimulatedRoots::Pinned(vec![digest]);
        assert!(pinned.find(&digest, "whatever it is named").is_some());
        assert!(pinned.find(&[8; 48], SIMULATED_ROOT_NAME).is_none());
        assert!(
            SimulatedRoots::None
                .find(&digest, SIMULATED_ROOT_NAME)
                .is_none()
        );
    }
}
