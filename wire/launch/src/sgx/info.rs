//! The enclave information page: what the shim must know and could not check otherwise.

use crate::{MAX_SEGMENTS, PAGE_SIZE};

/// The measured page that describes an enclave to its shim.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | the text `ENARXSGX` |
/// | 8 | 4 | version, 1 |
/// | 12 | 4 | threads |
/// | 16 | 8 | offset of the runtime's entry point |
/// | 24 | 8 | offset of the runtime's program headers |
/// | 32 | 4 | number of program headers |
/// | 36 | 4 | number of segments |
/// | 40 | 32 | digest of the runtime's pages ([`runtime_pages_digest`](super::runtime_pages_digest)) |
/// | 72 | 8 × 24 | segments: offset, size in bytes, access |
/// | 264 | 3832 | zero |
///
/// Integers are little-endian; offsets are from the enclave's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnclaveInfo {
    /// Threads that the enclave has.
    pub threads: u32,
    /// Where the runtime starts.
    pub entry: u64,
    /// Where the runtime's program headers lie.
    pub program_headers: u64,
    /// How many there are.
    pub program_header_count: u32,
    /// The digest of the contents of the pages of all segments
    /// ([`runtime_pages_digest`](super::runtime_pages_digest)).
    pub runtime_digest: [u8; 32],
    /// Segments, ordered and apart; an access of zero means that there is none.
    pub segments: [RuntimeSegment; MAX_SEGMENTS],
}

/// Pages of the runtime with the same access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimeSegment {
    /// Where they begin: a multiple of the page size.
    pub offset: u64,
    /// Their size in bytes: a multiple of the page size.
    pub size: u64,
    /// Bits of [`SecInfo`](super::SecInfo).
    pub access: u64,
}

impl EnclaveInfo {
    /// The segments that there are.
    pub fn segments(&self) -> impl Iterator<Item = &RuntimeSegment> {
        self.segments
            .iter()
            .take_while(|segment| segment.access != 0)
    }

    /// The whole page, as it is measured.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        page[..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.threads.to_le_bytes());
        page[16..24].copy_from_slice(&self.entry.to_le_bytes());
        page[24..32].copy_from_slice(&self.program_headers.to_le_bytes());
        page[32..36].copy_from_slice(&self.program_header_count.to_le_bytes());
        let count = self.segments().count();
        page[36..40].copy_from_slice(&(count as u32).to_le_bytes());
        page[40..72].copy_from_slice(&self.runtime_digest);
        let slots = page[SEGMENTS..SEGMENTS_END].chunks_exact_mut(SEGMENT_SIZE);
        for (slot, segment) in slots.zip(self.segments()) {
            slot[..8].copy_from_slice(&segment.offset.to_le_bytes());
            slot[8..16].copy_from_slice(&segment.size.to_le_bytes());
            slot[16..].copy_from_slice(&segment.access.to_le_bytes());
        }
        page
    }

    /// Reads the page.
    ///
    /// # Errors
    ///
    /// [`EnclaveInfoError`] when it is not one of this version.
    pub fn decode(page: &[u8; PAGE_SIZE]) -> Result<Self, EnclaveInfoError> {
        if &page[..8] != MAGIC {
            return Err(EnclaveInfoError::Magic);
        }
        match word(page, 8) {
            VERSION => {}
            other => return Err(EnclaveInfoError::Version(other)),
        }
        let count = word(page, 36);
        let mut segments = [RuntimeSegment::default(); MAX_SEGMENTS];
        let found = usize::try_from(count)
            .ok()
            .and_then(|count| segments.get_mut(..count))
            .ok_or(EnclaveInfoError::Segments(count))?;
        for (index, segment) in found.iter_mut().enumerate() {
            let at = SEGMENTS + index * SEGMENT_SIZE;
            *segment = RuntimeSegment {
                offset: long(page, at),
                size: long(page, at + 8),
                access: long(page, at + 16),
            };
        }
        let mut runtime_digest = [0; 32];
        runtime_digest.copy_from_slice(&page[40..72]);
        Ok(Self {
            threads: word(page, 12),
            entry: long(page, 16),
            program_headers: long(page, 24),
            program_header_count: word(page, 32),
            runtime_digest,
            segments,
        })
    }
}

/// What is wrong with an enclave information page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnclaveInfoError {
    /// The page does not begin with its mark.
    #[error("not an enclave information page")]
    Magic,
    /// A version other than 1.
    #[error("unknown version {0} of the enclave information page")]
    Version(u32),
    /// More segments than there is room for.
    #[error("{0} segments in the enclave information page")]
    Segments(u32),
}

const MAGIC: &[u8; 8] = b"ENARXSGX";
const VERSION: u32 = 1;
const SEGMENTS: usize = 72;
const SEGMENT_SIZE: usize = 24;
const SEGMENTS_END: usize = SEGMENTS + MAX_SEGMENTS * SEGMENT_SIZE;

fn word(page: &[u8; PAGE_SIZE], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&page[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

fn long(page: &[u8; PAGE_SIZE], offset: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&page[offset..offset + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> EnclaveInfo {
        let mut segments = [RuntimeSegment::default(); MAX_SEGMENTS];
        segments[0] = RuntimeSegment {
            offset: 0x1000_0000,
            size: 0x1000,
            access: 1,
        };
        segments[1] = RuntimeSegment {
            offset: 0x1000_2000,
            size: 0x3000,
            access: 5,
        };
        EnclaveInfo {
            threads: 8,
            entry: 0x1000_2040,
            program_headers: 0x1000_0040,
            program_header_count: 9,
            runtime_digest: [7; 32],
            segments,
        }
    }

    #[test]
    fn pages_survive_the_wire() {
        assert_eq!(EnclaveInfo::decode(&info().encode()), Ok(info()));
        assert_eq!(info().segments().count(), 2);
    }

    #[test]
    fn what_is_not_of_this_version_is_refused() {
        let with = |offset: usize, value: u8| {
            let mut page = info().encode();
            page[offset] = value;
            EnclaveInfo::decode(&page).unwrap_err()
        };
        assert_eq!(with(0, 0), EnclaveInfoError::Magic);
        assert_eq!(with(8, 2), EnclaveInfoError::Version(2));
        assert_eq!(with(36, 9), EnclaveInfoError::Segments(9));
    }
}
