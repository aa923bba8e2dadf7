//! Reference values: what the measurement of a Keep must be.

use enarx_wire_launch::{
    KeepImage, KeepMemory, Platform, process_launch_digest,
    sgx::{EnclaveOptions, EnclavePages},
    vm::GuestPages,
};

/// The measurements that a Keep of the owner's own image has, each as long as its platform
/// makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceValues(Vec<Vec<u8>>);

impl ReferenceValues {
    /// Measurements that were computed elsewhere.
    #[must_use]
    pub fn new(measurements: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self(measurements.into_iter().map(Into::into).collect())
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
            Platform::Kvm => {
                let pages = GuestPages::new(platform, image, memory);
                // An image without a shim runs in no machine.
                pages.map_or_else(
                    |_| Self::default(),
                    |pages| Self::new([pages.launch_digest()]),
                )
            }
            Platform::Snp | Platform::Tdx | Platform::Cvm => Self::default(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn measurements(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Whether `measurement` is one of them.
    #[must_use]
    pub fn contains(&self, measurement: &[u8]) -> bool {
        self.0.iter().any(|known| known == measurement)
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
        assert!(values(&image, 4096).contains(&digest));
        assert!(!values(&image, 8192).contains(&digest));
        assert!(!values(&other, 4096).contains(&digest));
        assert!(!values(&image, 4096).contains(&[]));
    }

    #[test]
    fn measurements_of_different_lengths_are_different() {
        let values = ReferenceValues::new([vec![7; 32], vec![8; 48]]);
        assert!(values.contains(&[7; 32]) && values.contains(&[8; 48]));
        assert!(!values.contains(&[7; 48]) && !values.contains(&[8; 32]));
    }
}
