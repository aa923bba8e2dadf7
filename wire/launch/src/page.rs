//! The launch page: what a Keep knows of itself because it was measured.

use crate::{Digest, EvidenceFormat, PAGE_SIZE, Platform};

/// The measured page that describes a Keep.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | the text `ENARXLCH` |
/// | 8 | 4 | version, 1 |
/// | 12 | 4 | platform |
/// | 16 | 8 | memory in bytes |
/// | 24 | 4 | memory strategy |
/// | 28 | 4 | evidence format |
/// | 32 | 48 | SHA-384 of the runtime |
/// | 80 | 4016 | zero |
///
/// Integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchPage {
    /// The kind of Keep.
    pub platform: Platform,
    /// The format in which its TEE gives evidence.
    pub evidence: EvidenceFormat,
    /// How compiled code may rely on memory protection.
    pub memory: MemoryStrategy,
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// SHA-384 of the runtime's ELF file.
    pub runtime_digest: Digest,
}

impl LaunchPage {
    /// Bytes of the page that are not reserved.
    pub const ENCODED_SIZE: usize = 80;

    /// The whole page, as it is measured.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        page[..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&(self.platform as u32).to_le_bytes());
        page[16..24].copy_from_slice(&self.memory_bytes.to_le_bytes());
        page[24..28].copy_from_slice(&(self.memory as u32).to_le_bytes());
        page[28..32].copy_from_slice(&(self.evidence as u32).to_le_bytes());
        page[32..80].copy_from_slice(&self.runtime_digest);
        page
    }

    /// Reads a launch page.
    ///
    /// # Errors
    ///
    /// [`LaunchPageError`] when `bytes` are not one page, or a field has a value
    /// that this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, LaunchPageError> {
        let page: &[u8; PAGE_SIZE] = bytes
            .try_into()
            .map_err(|_| LaunchPageError::Size(bytes.len()))?;
        if &page[..8] != MAGIC {
            return Err(LaunchPageError::Magic);
        }
        match word(page, 8) {
            VERSION => {}
            other => return Err(LaunchPageError::Version(other)),
        }
        if page[Self::ENCODED_SIZE..].iter().any(|byte| *byte != 0) {
            return Err(LaunchPageError::Reserved);
        }
        let mut memory_bytes = [0; 8];
        memory_bytes.copy_from_slice(&page[16..24]);
        let mut runtime_digest = [0; 48];
        runtime_digest.copy_from_slice(&page[32..80]);
        Ok(Self {
            platform: Platform::from_code(word(page, 12))
                .ok_or(LaunchPageError::Platform(word(page, 12)))?,
            evidence: EvidenceFormat::from_code(word(page, 28))
                .ok_or(LaunchPageError::Evidence(word(page, 28)))?,
            memory: match word(page, 24) {
                0 => MemoryStrategy::GuardPages,
                1 => MemoryStrategy::Bounded,
                other => return Err(LaunchPageError::Memory(other)),
            },
            memory_bytes: u64::from_le_bytes(memory_bytes),
            runtime_digest,
        })
    }
}

/// How compiled code may rely on memory protection inside a Keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum MemoryStrategy {
    /// Faults on guard pages are delivered as signals.
    #[default]
    GuardPages = 0,
    /// No signals: every access is checked in code.
    Bounded = 1,
}

impl MemoryStrategy {
    /// Bounded if that was asked for.
    #[must_use]
    pub const fn bounded_if(bounded: bool) -> Self {
        if bounded {
            Self::Bounded
        } else {
            Self::GuardPages
        }
    }
}

/// What is wrong with a launch page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaunchPageError {
    /// Not one page of bytes.
    #[error("a launch page has {PAGE_SIZE} bytes, not {0}")]
    Size(usize),
    /// The page does not begin with its mark.
    #[error("not a launch page")]
    Magic,
    /// A version other than 1.
    #[error("unknown launch page version {0}")]
    Version(u32),
    /// An unknown platform code.
    #[error("unknown platform code {0} in the launch page")]
    Platform(u32),
    /// An unknown evidence format code.
    #[error("unknown evidence format code {0} in the launch page")]
    Evidence(u32),
    /// An unknown memory strategy code.
    #[error("unknown memory strategy code {0} in the launch page")]
    Memory(u32),
    /// Bytes that must be zero are not.
    #[error("reserved bytes of the launch page are not zero")]
    Reserved,
}

const MAGIC: &[u8; 8] = b"ENARXLCH";
const VERSION: u32 = 1;

fn word(page: &[u8; PAGE_SIZE], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&page[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> LaunchPage {
        LaunchPage {
            platform: Platform::Process,
            evidence: EvidenceFormat::SnpReport,
            memory: MemoryStrategy::Bounded,
            memory_bytes: 1 << 30,
            runtime_digest: [9; 48],
        }
    }

    #[test]
    fn pages_survive_the_wire() {
        assert_eq!(LaunchPage::decode(&page().encode()), Ok(page()));
    }

    #[test]
    fn each_bad_field_is_named() {
        let with = |offset: usize, value: u8| {
            let mut bytes = page().encode();
            bytes[offset] = value;
            LaunchPage::decode(&bytes).unwrap_err()
        };
        assert_eq!(with(0, b'X'), LaunchPageError::Magic);
        assert_eq!(with(8, 2), LaunchPageError::Version(2));
        assert_eq!(with(12, 99), LaunchPageError::Platform(99));
        assert_eq!(with(24, 2), LaunchPageError::Memory(2));
        assert_eq!(with(28, 0), LaunchPageError::Evidence(0));
        assert_eq!(with(80, 1), LaunchPageError::Reserved);
        assert_eq!(with(4095, 1), LaunchPageError::Reserved);
        assert_eq!(LaunchPage::decode(&[0; 80]), Err(LaunchPageError::Size(80)));
    }
}
