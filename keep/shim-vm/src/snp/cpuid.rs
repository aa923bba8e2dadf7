//! The CPUID page, whose values the firmware has found right before the launch (AMD #56860,
//! 8.17.2.6, tables "CPUID Page Format" and "CPUID_FUNCTION Structure").

use enarx_wire_launch::PAGE_SIZE;

/// A page that can be what the firmware checked.
#[derive(Debug, Clone, Copy)]
pub struct CpuidPage<'a>(&'a [[u8; ENTRY_SIZE]]);

impl<'a> CpuidPage<'a> {
    /// Looks at a page whose private memory must be that which has the bit `private` in page tables.
    ///
    /// # Errors
    ///
    /// [`CpuidError`] when the page is of no machine that the shim can run in.
    pub fn read(page: &'a [u8; PAGE_SIZE], private: u64) -> Result<Self, CpuidError> {
        let count = word(page, 0) as usize;
        let (entries, _) = page[ENTRIES..].as_chunks();
        let entries = entries.get(..count).filter(|_| count <= MOST_ENTRIES);
        let found = Self(entries.ok_or(CpuidError::Count)?);
        let [features, bits, ..] = found.lookup(ENCRYPTED_MEMORY, 0);
        if features & PROTECTED != PROTECTED {
            return Err(CpuidError::Protection);
        }
        if 1 << (bits & 0x3F) != private {
            return Err(CpuidError::PrivateBit);
        }
        Ok(found)
    }

    /// What the instruction gives in EAX, EBX, ECX and EDX: zeros for a function that is not there. An
    /// `index` counts for those functions that have entries of more than one.
    #[must_use]
    pub fn lookup(&self, function: u32, index: u32) -> [u32; 4] {
        let mut of_function = self.0.iter().filter(|entry| word(*entry, 0) == function);
        let indexed = of_function.clone().any(|entry| word(entry, 4) != 0);
        let found = of_function.find(|entry| !indexed || word(*entry, 4) == index);
        let [mut eax, mut ebx, mut ecx, mut edx] =
            found.map_or([0; 4], |entry| [24, 28, 32, 36].map(|at| word(entry, at)));
        // What depends on what the shim has switched on.
        match (function, index) {
            (1, _) => ecx |= XSAVE_ENABLED,
            (0xD, 0) => (eax, ebx, ecx, edx) = (EXTENDED_STATES, STATE_SIZE, STATE_SIZE, 0),
            _ => {}
        }
        [eax, ebx, ecx, edx]
    }
}

/// What is wrong with a CPUID page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuidError {
    /// More entries than the page has room for.
    Count,
    /// Not the page of a SEV-SNP machine.
    Protection,
    /// Private memory has another bit.
    PrivateBit,
}

/// The error code of the exception that stands for the instruction (AMD #24593, volume 2, appendix C).
pub const EXIT: u32 = 0x72;

/// Where entries begin.
pub const ENTRIES: usize = 16;

/// Bytes of an entry: function, index, two words for XCR0 and XSS, what is in the four registers, and
/// a reserved word.
pub const ENTRY_SIZE: usize = 48;

/// Entries that there can be.
pub const MOST_ENTRIES: usize = 64;

/// Of function 1's ECX: the operating system has switched XSAVE on.
const XSAVE_ENABLED: u32 = 1 << 27;

/// Function 0Dh, index 0: x87, SSE and AVX, and the size of what XSAVE writes then.
const EXTENDED_STATES: u32 = 0b111;
const STATE_SIZE: u32 = 0x340;

/// The function about encrypted memory (AMD #24594, volume 3, appendix E), with the number of the bit.
const ENCRYPTED_MEMORY: u32 = 0x8000_001F;

/// Of its EAX: SEV, SEV-ES, SEV-SNP.
const PROTECTED: u32 = 1 << 1 | 1 << 3 | 1 << 4;

fn word(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(entries: &[[u32; 6]]) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        page[0] = entries.len() as u8;
        for (index, [function, subleaf, registers @ ..]) in entries.iter().enumerate() {
            let at = ENTRIES + index * ENTRY_SIZE;
            let mut put = |offset: usize, value: u32| {
                page[at + offset..][..4].copy_from_slice(&value.to_le_bytes());
            };
            put(0, *function);
            put(4, *subleaf);
            for (register, value) in registers.iter().enumerate() {
                put(24 + 4 * register, *value);
            }
        }
        page
    }

    const MEMORY: [u32; 6] = [ENCRYPTED_MEMORY, 0, PROTECTED, 0x1000 | 51, 3, 4];

    #[test]
    fn functions_are_found() {
        let page = page(&[
            [1, 0, 10, 11, 12, 13],
            [7, 0, 20, 21, 22, 23],
            [7, 1, 30, 31, 32, 33],
            MEMORY,
        ]);
        let found = CpuidPage::read(&page, 1 << 51).unwrap();
        let enabled = 12 | 1 << 27;
        assert_eq!(found.lookup(1, 0), [10, 11, enabled, 13]);
        assert_eq!(found.lookup(1, 99), [10, 11, enabled, 13]);
        assert_eq!(found.lookup(0xD, 0), [7, 0x340, 0x340, 0]);
        assert_eq!(found.lookup(7, 0), [20, 21, 22, 23]);
        assert_eq!(found.lookup(7, 1), [30, 31, 32, 33]);
        assert_eq!(found.lookup(7, 2), [0; 4]);
        assert_eq!(found.lookup(8, 0), [0; 4]);
    }

    #[test]
    fn pages_of_no_machine_are_refused() {
        let good = page(&[MEMORY]);
        assert!(CpuidPage::read(&good, 1 << 51).is_ok());
        let read = |page: &[u8; PAGE_SIZE], private| CpuidPage::read(page, private).unwrap_err();
        assert_eq!(read(&good, 1 << 47), CpuidError::PrivateBit);
        assert_eq!(read(&page(&[]), 1 << 51), CpuidError::Protection);
        for missing in [1, 3, 4] {
            let mut entry = MEMORY;
            entry[2] &= !(1 << missing);
            assert_eq!(read(&page(&[entry]), 1 << 51), CpuidError::Protection);
        }
        for count in [65u32, 100, u32::MAX] {
            let mut page = good;
            page[..4].copy_from_slice(&count.to_le_bytes());
            assert_eq!(read(&page, 1 << 51), CpuidError::Count);
        }
    }
}
