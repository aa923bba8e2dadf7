//! Reference values: what the measurement of a Keep must be.

use enarx_owner_evidence::AnchorKind;
use enarx_wire_launch::{
    KeepImage, KeepMemory, Platform, process_launch_digest,
    sgx::{EnclaveOptions, EnclavePages},
    vm::GuestPages,
};

/// The measurements that a Keep of the owner's own image has, each as long as its platform
/// makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceValues {
    values: Vec<Vec<u8>>,
    /// Those of machines whose host plays their TEE. What is inside does not protect itself, so
    /// they count only where the evidence is simulated as well.
    played: Vec<Vec<u8>>,
}

impl ReferenceValues {
    /// Measurements that were computed elsewhere.
    #[must_use]
    pub fn new(measurements: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self {
            values: measurements.into_iter().map(Into::into).collect(),
            played: Vec::new(),
        }
    }

    /// Computes the measurement of a Keep of `image` on `platform` with this memory.
    ///
    /// Empty for platforms on which the image alone does not determine it; a policy must
    /// then list measurements itself.
    #[must_use]
    pub fn of_keep_image(
        platform: Platform,
        image: &KeepImage<'_>,
        memory: impl Into<KeepMemory>,
    ) -> Self {
        match platform {
            Platform::Process => Self::new([process_launch_digest(image, memory)]),
            Platform::Sgx => {
                let pages = EnclavePages::new(image, EnclaveOptions::of_keep(memory));
                // An image without a shim runs in no enclave.
                pages.map_or_else(|_| Self::default(), |pages| Self::new([pages.measure()]))
            }
            Platform::Kvm | Platform::Snp | Platform::Tdx => {
                let memory = memory.into();
                let digest = |pages: Result<GuestPages<'_>, _>| {
                    // An image without a shim runs in no machine.
                    pages.ok().map(|pages| pages.launch_digest().to_vec())
                };
                let real = digest(GuestPages::new(platform, image, memory));
                let played = match platform {
                    Platform::Kvm => None,
                    _ => digest(GuestPages::played(platform, image, memory)),
                };
                Self {
                    values: real.into_iter().collect(),
                    played: played.into_iter().collect(),
                }
            }
            Platform::Cvm => Self::default(),
        }
    }

    /// All that genuine evidence can have.
    #[must_use]
    pub fn measurements(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// All that evidence of this kind can have.
    #[must_use]
    pub fn of_kind(&self, kind: AnchorKind) -> Vec<&[u8]> {
        let played = match kind {
            AnchorKind::Genuine => &[][..],
            AnchorKind::Simulated => &self.played,
        };
        let all = self.values.iter().chain(played);
        all.map(Vec::as_slice).collect()
    }

    /// Whether `measurement` is one of those.
    #[must_use]
    pub fn contains(&self, kind: AnchorKind, measurement: &[u8]) -> bool {
        self.of_kind(kind).contains(&measurement)
    }
}

impl FromIterator<Self> for ReferenceValues {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), |mut found, more| {
            found.values.extend(more.values);
            found.played.extend(more.played);
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurement_follows_image_and_memory() {
        let image = KeepImage {
            runtime: b"",
            runtime_digest: [1; 48],
            sgx: enarx_wire_launch::SgxImage::default(),
            vm: enarx_wire_launch::VmImage::default(),
        };
        let other = KeepImage {
            runtime: b"",
            runtime_digest: [2; 48],
            sgx: enarx_wire_launch::SgxImage::default(),
            vm: enarx_wire_launch::VmImage::default(),
        };
        let values = |image, bytes| ReferenceValues::of_keep_image(Platform::Process, image, bytes);
        let digest = process_launch_digest(&image, 4096);
        let genuine = AnchorKind::Genuine;
        assert!(values(&image, 4096).contains(genuine, &digest));
        assert!(!values(&image, 8192).contains(genuine, &digest));
        assert!(!values(&other, 4096).contains(genuine, &digest));
        assert!(!values(&image, 4096).contains(genuine, &[]));
    }

    #[test]
    fn measurements_of_different_lengths_are_different() {
        let values = ReferenceValues::new([vec![7; 32], vec![8; 48]]);
        let contains = |measurement: &[u8]| values.contains(AnchorKind::Simulated, measurement);
        assert!(contains(&[7; 32]) && contains(&[8; 48]));
        assert!(!contains(&[7; 48]) && !contains(&[8; 32]));
    }

    /// A machine that leaves its protection to the host is never mistaken for a real one.
    #[test]
    fn what_the_host_plays_counts_only_where_evidence_is_simulated() {
        let values: ReferenceValues = [
            ReferenceValues::new([[1; 48]]),
            ReferenceValues {
                values: vec![vec![2; 48]],
                played: vec![vec![3; 48]],
            },
        ]
        .into_iter()
        .collect();
        for (kind, found) in [
            (AnchorKind::Genuine, [true, true, false]),
            (AnchorKind::Simulated, [true, true, true]),
        ] {
            let contains = [1, 2, 3].map(|byte| values.contains(kind, &[byte; 48]));
            assert_eq!(contains, found);
        }
    }
}
