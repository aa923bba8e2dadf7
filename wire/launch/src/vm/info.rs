//! The information page: what the shim must know of the runtime's file.

use crate::{MAX_SEGMENTS, PAGE_SIZE};

/// The measured page that describes a Keep's machine to its shim.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | the text `ENARXVMI` |
/// | 8 | 4 | version, 1 |
/// | 12 | 4 | number of segments |
/// | 16 | 8 | address of the runtime's entry point |
/// | 24 | 8 | address of the runtime's program headers |
/// | 32 | 8 | number of program headers |
/// | 40 | 8 | size of the runtime's file in bytes |
/// | 48 | 32 | digest of the runtime's file ([`file_digest`](super::file_digest)) |
/// | 80 | 8 × 40 | segments: address, size in memory, offset in the file, size in the file, access |
/// | 400 | 4 | 1 if the host plays the TEE that the launch page names, 0 otherwise |
/// | 404 | 3692 | zero |
///
/// Integers are little-endian.
///
/// The digest is one of SHA-256, which processors compute by themselves, beside that of SHA-384 in the
/// launch page: the file has megabytes, and every Keep's start waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestInfo {
    /// Where the runtime starts.
    pub entry: u64,
    /// Where the runtime's program headers lie.
    pub program_headers: u64,
    /// How many there are.
    pub program_header_count: u64,
    /// Size of the runtime's file in bytes.
    pub file_size: u64,
    /// The digest of the runtime's file ([`file_digest`](super::file_digest)).
    pub runtime_digest: [u8; 32],
    /// Segments, ordered and apart; an access of zero means that there is none.
    pub segments: [GuestSegment; MAX_SEGMENTS],
    /// Whether the host plays the TEE: the shim then asks it for what the TEE's instructions do, and
    /// is protected by nothing. That it is measured keeps such a Keep apart from a real one.
    pub played: bool,
}

/// A part of the runtime's file in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestSegment {
    /// Where it is mapped; as far into a page as `file_offset`.
    pub address: u64,
    /// Its size in memory in bytes.
    pub memory_size: u64,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// How many of them there are; zeros follow.
    pub file_size: u64,
    /// What may be done with it: read 1, write 2, execute 4.
    pub access: u64,
}

impl GuestInfo {
    /// Where the page says whether the host plays the TEE.
    pub const PLAYED_OFFSET: u64 = SEGMENTS_END as u64;

    /// The segments that there are.
    pub fn segments(&self) -> impl Iterator<Item = &GuestSegment> {
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
        let count = self.segments().count();
        page[12..16].copy_from_slice(&(count as u32).to_le_bytes());
        page[16..24].copy_from_slice(&self.entry.to_le_bytes());
        page[24..32].copy_from_slice(&self.program_headers.to_le_bytes());
        page[32..40].copy_from_slice(&self.program_header_count.to_le_bytes());
        page[40..48].copy_from_slice(&self.file_size.to_le_bytes());
        page[48..80].copy_from_slice(&self.runtime_digest);
        let slots = page[SEGMENTS..SEGMENTS_END].chunks_exact_mut(SEGMENT_SIZE);
        for (slot, segment) in slots.zip(self.segments()) {
            let numbers = [
                segment.address,
                segment.memory_size,
                segment.file_offset,
                segment.file_size,
                segment.access,
            ];
            for (place, number) in slot.chunks_exact_mut(8).zip(numbers) {
                place.copy_from_slice(&number.to_le_bytes());
            }
        }
        page[SEGMENTS_END] = self.played.into();
        page
    }

    /// Reads an information page.
    ///
    /// # Errors
    ///
    /// [`GuestInfoError`] when it is not one of this version.
    pub fn decode(page: &[u8; PAGE_SIZE]) -> Result<Self, GuestInfoError> {
        if &page[..8] != MAGIC {
            return Err(GuestInfoError::Magic);
        }
        match word(page, 8) {
            VERSION => {}
            other => return Err(GuestInfoError::Version(other)),
        }
        let count = word(page, 12);
        let mut segments = [GuestSegment::default(); MAX_SEGMENTS];
        let found = usize::try_from(count)
            .ok()
            .and_then(|count| segments.get_mut(..count))
            .ok_or(GuestInfoError::Segments(count))?;
        for (index, segment) in found.iter_mut().enumerate() {
            let at = SEGMENTS + index * SEGMENT_SIZE;
            *segment = GuestSegment {
                address: long(page, at),
                memory_size: long(page, at + 8),
                file_offset: long(page, at + 16),
                file_size: long(page, at + 24),
                access: long(page, at + 32),
            };
        }
        let mut runtime_digest = [0; 32];
        runtime_digest.copy_from_slice(&page[48..80]);
        Ok(Self {
            entry: long(page, 16),
            program_headers: long(page, 24),
            program_header_count: long(page, 32),
            file_size: long(page, 40),
            runtime_digest,
            segments,
            played: match word(page, SEGMENTS_END) {
                0 => false,
                1 => true,
                other => return Err(GuestInfoError::Played(other)),
            },
        })
    }
}

/// What is wrong with an information page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuestInfoError {
    /// The page does not begin with its mark.
    #[error("not an information page of a virtual machine")]
    Magic,
    /// A version other than 1.
    #[error("unknown version {0} of the virtual machine's information page")]
    Version(u32),
    /// More segments than there is room for.
    #[error("{0} segments in the virtual machine's information page")]
    Segments(u32),
    /// Neither that the host plays the TEE nor that it does not.
    #[error("unknown value {0} for a played TEE in the virtual machine's information page")]
    Played(u32),
}

const MAGIC: &[u8; 8] = b"ENARXVMI";
const VERSION: u32 = 1;
const SEGMENTS: usize = 80;
const SEGMENT_SIZE: usize = 40;
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

    fn info() -> GuestInfo {
        let mut segments = [GuestSegment::default(); MAX_SEGMENTS];
        segments[0] = GuestSegment {
            address: 1 << 40,
            memory_size: 0x1234,
            file_offset: 0,
            file_size: 0x1234,
            access: 1,
        };
        segments[1] = GuestSegment {
            address: (1 << 40) + 0x2234,
            memory_size: 0x3000,
            file_offset: 0x1234,
            file_size: 0x2000,
            access: 3,
        };
        GuestInfo {
            entry: (1 << 40) + 0x1010,
            program_headers: (1 << 40) + 64,
            program_header_count: 9,
            file_size: 0x3234,
            runtime_digest: [7; 32],
            segments,
            played: true,
        }
    }

    #[test]
    fn pages_survive_the_wire() {
        assert_eq!(GuestInfo::decode(&info().encode()), Ok(info()));
        assert_eq!(info().segments().count(), 2);
    }

    #[test]
    fn what_is_not_of_this_version_is_refused() {
        let with = |offset: usize, value: u8| {
            let mut page = info().encode();
            page[offset] = value;
            GuestInfo::decode(&page).unwrap_err()
        };
        assert_eq!(with(0, 0), GuestInfoError::Magic);
        assert_eq!(with(8, 2), GuestInfoError::Version(2));
        assert_eq!(with(12, 9), GuestInfoError::Segments(9));
        assert_eq!(with(400, 2), GuestInfoError::Played(2));
    }
}
