//! Made-up ELF files.

use enarx_wire_launch::PAGE_SIZE;

/// A segment of a made-up ELF file.
pub struct Segment {
    pub flags: u32,
    pub address: u64,
    pub contents: Vec<u8>,
    pub size_in_memory: u64,
}

pub const READ: u32 = 4;
pub const WRITE: u32 = 2;
pub const EXECUTE: u32 = 1;

/// A static-PIE file with the given segments, whose first holds the headers.
pub fn elf(segments: &[Segment]) -> Vec<u8> {
    const HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    let headers = HEADER + PROGRAM_HEADER * segments.len();
    let mut file = vec![0; headers];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
    file[16..18].copy_from_slice(&3u16.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[20..24].copy_from_slice(&1u32.to_le_bytes());
    file[24..32].copy_from_slice(&0x1010u64.to_le_bytes());
    file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
    file[52..54].copy_from_slice(&(HEADER as u16).to_le_bytes());
    file[54..56].copy_from_slice(&(PROGRAM_HEADER as u16).to_le_bytes());
    file[56..58].copy_from_slice(&(segments.len() as u16).to_le_bytes());
    file[58..60].copy_from_slice(&64u16.to_le_bytes());
    for (index, segment) in segments.iter().enumerate() {
        let (offset, length) = if index == 0 {
            (0, headers + segment.contents.len())
        } else {
            file.resize(file.len().next_multiple_of(PAGE_SIZE), 0);
            let lead = (segment.address % PAGE_SIZE as u64) as usize;
            file.resize(file.len() + lead, 0);
            (file.len(), segment.contents.len())
        };
        file.extend(&segment.contents);
        let header = &mut file[HEADER + PROGRAM_HEADER * index..][..PROGRAM_HEADER];
        header[..4].copy_from_slice(&1u32.to_le_bytes());
        header[4..8].copy_from_slice(&segment.flags.to_le_bytes());
        let numbers = [
            offset as u64,
            segment.address,
            segment.address,
            length as u64,
            segment.size_in_memory.max(length as u64),
            PAGE_SIZE as u64,
        ];
        for (slot, number) in header[8..].chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
    }
    file
}

/// A program of three segments; another for each seed.
pub fn program(seed: u8) -> Vec<u8> {
    let bytes = |length: usize| (0..length).map(|n| (n as u8).wrapping_mul(seed)).collect();
    elf(&[
        Segment {
            flags: READ,
            address: 0,
            contents: bytes(100),
            size_in_memory: 0,
        },
        Segment {
            flags: READ | EXECUTE,
            address: 0x1000,
            contents: bytes(5000),
            size_in_memory: 0,
        },
        Segment {
            flags: READ | WRITE,
            address: 0x4123,
            contents: bytes(300),
            size_in_memory: 0x2800,
        },
    ])
}
