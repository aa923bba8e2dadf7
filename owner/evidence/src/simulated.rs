//! Which simulators are trusted to be simulators.

use crate::Digest;

/// Roots of simulators, of whichever technology.
///
/// A vendor's key is never one of them, and what they vouch for is never better than
/// simulated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SimulatedRoots {
    /// None: simulated evidence does not verify.
    #[default]
    None,
    /// Every root that is named as the simulator names its own (`SIMULATED_ROOT_NAME` of
    /// each technology). Anyone can make one, which takes nothing away from evidence that
    /// gives no assurance in the first place.
    Any,
    /// The roots whose `SubjectPublicKeyInfo` has one of these SHA-384 digests.
    Pinned(Vec<Digest>),
}

impl SimulatedRoots {
    /// Whether the root with this key and name is one of them, for a technology whose
    /// simulator names its root `simulator`.
    pub(crate) fn list(&self, key_digest: &Digest, common_name: &str, simulator: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => common_name == simulator,
            Self::Pinned(digests) => digests.contains(key_digest),
        }
    }
}
