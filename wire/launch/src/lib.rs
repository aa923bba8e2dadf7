//! From a Keep image to measured pages and their launch digest.
//!
//! The launcher loads what this crate lists, and the owner computes reference
//! values from the same list: the two cannot drift apart.
//!
//! Little is measured, everything is covered: the launch measures one
//! [`LaunchPage`] that names the runtime by digest (beside the shim, for platforms
//! that have one), and whoever loads the runtime into private memory refuses any
//! other file.

#![no_std]

extern crate alloc;

mod content;
mod digest;
mod identity;
mod page;
mod pieces;
mod platform;
mod program;
mod save_area;
pub mod sgx;
mod signature;
mod trust_domain;
pub mod vm;

pub use content::Content;
pub use digest::{MeasuredPage, PAGE_SIZE, PageKind, snp_launch_digest};
pub use identity::{SnpIdentity, SnpIdentityError, SnpKey, SnpSignature, SnpSignedIdentity};
pub use page::{LaunchPage, LaunchPageError, MemoryStrategy};
pub use pieces::{PIECE_SIZE, PieceDigests};
pub use platform::{EvidenceFormat, Platform, UnknownPlatform};
pub use program::{ElfError, MAX_SEGMENTS};
pub use save_area::{SAVE_AREA_ADDRESS, SaveArea, Segment};
pub use signature::{snp_named_signature, snp_signature};
pub use trust_domain::{AddedPage, tdx_extended, tdx_launch_digest};

/// A SHA-384 digest.
pub type Digest = [u8; 48];

/// The files that make a Keep, as the owner and the host both have them.
#[derive(Debug, Clone, Copy)]
pub struct KeepImage<'a> {
    /// The runtime: a static-PIE ELF file.
    pub runtime: &'a [u8],
    /// SHA-384 of `runtime`.
    pub runtime_digest: Digest,
    /// What SGX enclaves need beside it.
    pub sgx: SgxImage<'a>,
    /// What virtual machines need beside it.
    pub vm: VmImage<'a>,
}

/// The parts of a Keep image that are of use in SGX enclaves alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct SgxImage<'a> {
    /// The shim beneath the runtime: a static-PIE ELF file.
    pub shim: &'a [u8],
    /// The digest of the runtime's pages ([`sgx::runtime_pages_digest`]).
    pub runtime_pages_digest: [u8; 32],
}

/// The parts of a Keep image that are of use in virtual machines alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct VmImage<'a> {
    /// The shim beneath the runtime: an ELF file with the addresses of [`vm::layout`].
    pub shim: &'a [u8],
    /// The digest of the runtime's file ([`vm::file_digest`]).
    pub runtime_file_digest: [u8; 32],
}

/// Memory of a Keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepMemory {
    /// Its size in bytes.
    pub bytes: u64,
    /// How compiled code may rely on its protection.
    pub strategy: MemoryStrategy,
}

impl From<u64> for KeepMemory {
    /// So many bytes, with guard pages.
    fn from(bytes: u64) -> Self {
        Self {
            bytes,
            strategy: MemoryStrategy::GuardPages,
        }
    }
}

/// The launch page of a Keep of `image` on `platform` with this memory.
#[must_use]
pub fn launch_page(
    platform: Platform,
    image: &KeepImage<'_>,
    memory: impl Into<KeepMemory>,
) -> LaunchPage {
    let memory = memory.into();
    LaunchPage {
        platform,
        evidence: evidence_format(platform),
        memory: memory.strategy,
        memory_bytes: memory.bytes,
        runtime_digest: image.runtime_digest,
    }
}

/// The format in which Keeps on `platform` give evidence. In a confidential VM
/// ([`Platform::Cvm`]) it is the VM's, of which this is only the most frequent one.
#[must_use]
pub const fn evidence_format(platform: Platform) -> EvidenceFormat {
    match platform {
        Platform::Sgx => EvidenceFormat::SgxQuote,
        Platform::Tdx => EvidenceFormat::TdxQuote,
        Platform::Process | Platform::Kvm | Platform::Snp | Platform::Cvm => {
            EvidenceFormat::SnpReport
        }
    }
}

/// The launch digest of a Keep in the `process` backend.
///
/// A child process has no TEE that measures pages, so the simulated evidence
/// carries the SEV-SNP launch digest of the launch page alone, at guest address
/// zero.
#[must_use]
pub fn process_launch_digest(image: &KeepImage<'_>, memory: impl Into<KeepMemory>) -> Digest {
    let page = launch_page(Platform::Process, image, memory).encode();
    snp_launch_digest([MeasuredPage {
        guest_address: 0,
        kind: PageKind::Normal(&page),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intels_keeps_give_quotes() {
        let image = KeepImage {
            runtime: b"",
            runtime_digest: [1; 48],
            sgx: SgxImage::default(),
            vm: VmImage::default(),
        };
        let evidence = |platform| launch_page(platform, &image, 4096).evidence;
        assert_eq!(evidence(Platform::Sgx), EvidenceFormat::SgxQuote);
        assert_eq!(evidence(Platform::Tdx), EvidenceFormat::TdxQuote);
        assert_eq!(evidence(Platform::Process), EvidenceFormat::SnpReport);
    }
}
