//! The certificates that a host hands to a guest with a report (*Guest-Hypervisor
//! Communication Block Standardization*, AMD #56421, extended guest request), as Linux
//! gives them in `auxblob` of `configfs-tsm`.

use crate::bytes::{Bytes, Truncated};

/// Largest table looked at.
const MAX_TABLE_BYTES: usize = 1024 * 1024;
/// Most entries of a table.
const MAX_ENTRIES: usize = 64;
/// Bytes of an entry: a GUID, an offset and a length.
const ENTRY_BYTES: usize = 24;

/// The identifiers of certificates: VCEK, VLEK, ASK, ARK, and the revocation list.
const KNOWN: [u128; 5] = [
    0x63da_758d_e664_4564_adc5_f4b9_3be8_accd,
    0xa807_4bc2_a25a_483e_aae6_39c0_45a0_b8a1,
    0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782,
    0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae,
    0x92f8_1bc3_5811_4d3d_97ff_d19f_88dc_67ea,
];

/// The parts of a table, in DER, that belong to a report's chain; others are left out.
/// `None` when the bytes are no such table: entries in front, the last of them zero, each
/// within the bytes behind them.
#[must_use]
pub fn certificates_in_table(table: &[u8]) -> Option<Vec<&[u8]>> {
    if table.len() > MAX_TABLE_BYTES {
        return None;
    }
    let entries = entries(&mut Bytes(table)).ok()??;
    let first = (entries.len() + 1) * ENTRY_BYTES;
    let mut certificates = Vec::new();
    for (identifier, offset, length) in entries {
        let end = offset.checked_add(length)?;
        let part = table.get(offset..end).filter(|_| first <= offset)?;
        if KNOWN.contains(&identifier) {
            certificates.push(part);
        }
    }
    Some(certificates).filter(|certificates| !certificates.is_empty())
}

type Entry = (u128, usize, usize);

/// The entries up to the one of zeros, or `None` when there are too many.
fn entries(bytes: &mut Bytes<'_>) -> Result<Option<Vec<Entry>>, Truncated> {
    let mut entries = Vec::new();
    loop {
        // The bytes of a GUID are in the order of its text here.
        let identifier = u128::from_be_bytes(bytes.array()?);
        let (offset, length) = (bytes.u32()?, bytes.u32()?);
        if identifier == 0 {
            return Ok(Some(entries));
        }
        if entries.len() == MAX_ENTRIES {
            return Ok(None);
        }
        let number = |number| usize::try_from(number).map_err(|_| Truncated);
        entries.push((identifier, number(offset)?, number(length)?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u128, u32, u32)], rest: &[u8]) -> Vec<u8> {
        let mut table = Vec::new();
        for (identifier, offset, length) in entries {
            table.extend(identifier.to_be_bytes());
            table.extend(offset.to_le_bytes());
            table.extend(length.to_le_bytes());
        }
        table.extend([0; ENTRY_BYTES]);
        table.extend(rest);
        table
    }

    #[test]
    fn what_belongs_to_a_chain_is_found() {
        let entries = [(KNOWN[0], 96, 3), (7, 99, 1), (KNOWN[3], 100, 2)];
        let table = table(&entries, b"abcdef");
        assert_eq!(
            certificates_in_table(&table),
            Some(vec![&b"abc"[..], &b"ef"[..]])
        );
    }

    #[test]
    fn a_table_that_lies_is_none() {
        for (offset, length) in [
            (48, 4),
            (47, 1),
            (0, 1),
            (52, 0),
            (u32::MAX, 1),
            (1, u32::MAX),
            (u32::MAX, u32::MAX),
        ] {
            let table = table(&[(KNOWN[0], offset, length)], b"abc");
            assert_eq!(certificates_in_table(&table), None, "{offset} {length}");
        }
        assert_eq!(certificates_in_table(&table(&[], b"")), None);
        let endless = KNOWN[0].to_be_bytes().repeat(2000);
        assert_eq!(certificates_in_table(&endless), None);
        let sound = table(&[(KNOWN[0], 48, 3)], b"abc");
        for length in 0..sound.len() {
            assert_eq!(certificates_in_table(&sound[..length]), None);
        }
    }
}
