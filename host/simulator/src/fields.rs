//! Reading and writing structures of fixed layout. All integers are little-endian.

/// Copies `N` bytes that stand at `at`.
pub(crate) fn get<const N: usize>(structure: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&structure[at..at + N]);
    field
}

pub(crate) fn get_u16(structure: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(structure, at))
}

pub(crate) fn get_u32(structure: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(structure, at))
}

/// Copies `field` to where it stands.
pub(crate) fn put(structure: &mut [u8], at: usize, field: &[u8]) {
    structure[at..at + field.len()].copy_from_slice(field);
}

/// A structure has bytes that must be zero and are not. The instruction that reads it
/// raises a general protection fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reserved bytes of the structure are not zero")]
pub struct ReservedNotZero;

/// Checks that everything in the given ranges is zero.
pub(crate) fn check_reserved(
    structure: &[u8],
    ranges: &[std::ops::Range<usize>],
) -> Result<(), ReservedNotZero> {
    let mut reserved = ranges.iter().flat_map(|range| &structure[range.clone()]);
    if reserved.all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(ReservedNotZero)
    }
}
