//! How virtual processors of TEEs start.

use alloc::vec::Vec;

use super::layout;
use crate::{PAGE_SIZE, SaveArea, Segment};

/// The processors of a SEV-SNP machine, as its launch measures them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpProcessors {
    /// How many there are, at most [`layout::PROCESSORS`].
    pub count: u32,
    /// What they start with in RDX: zero as the launcher starts them. Other monitors put the
    /// processor's signature there ([`snp_signature`](crate::snp_signature)).
    pub signature: u32,
    /// `SEV_FEATURES`: how the guest is protected (AMD #24593, volume 2, table B-4).
    pub features: u64,
}

impl SnpProcessors {
    /// The feature without which there is no SEV-SNP.
    pub const SNP_ACTIVE: u64 = 1;

    /// The save area of processor `index`, as Linux makes it (`arch/x86/kvm/svm/sev.c`,
    /// `sev_es_sync_vmsa`) of a processor in 32-bit protected mode without paging.
    #[must_use]
    pub fn save_area(&self, index: u32) -> SaveArea {
        let flat = |selector, attributes| Segment {
            selector,
            attributes,
            limit: u32::MAX,
            base: 0,
        };
        // Present, accessed, 32-bit, limits in pages; code can be read, data written.
        let (code, data) = (flat(0x10, 0xC9B), flat(0x18, 0xC93));
        let start = SaveArea::at_reset(0, self.signature, self.features);
        SaveArea {
            segments: [data, code, data, data, data, data],
            task: Segment {
                limit: 0x67,
                ..start.task
            },
            // PE, ET.
            cr0: 0x11,
            rip: if index == 0 {
                layout::ENTRY
            } else {
                layout::THREAD_ENTRY
            },
            rsi: index.into(),
            ..start
        }
    }

    /// The pages of all of them, in the order of the launch.
    pub(super) fn save_areas(&self) -> Vec<[u8; PAGE_SIZE]> {
        (0..self.count)
            .map(|index| self.save_area(index).encode())
            .collect()
    }
}

impl Default for SnpProcessors {
    /// Those of the launcher.
    fn default() -> Self {
        Self {
            count: layout::PROCESSORS,
            signature: 0,
            features: Self::SNP_ACTIVE,
        }
    }
}

/// The page in which processors of a TDX machine start, all at its last 16 bytes, in 32-bit
/// protected mode without paging and with their index in ESI (*Intel TDX Module Base Architecture
/// Specification*, "Initial State of Guest Architectural State"). It goes on at
/// [`layout::THREAD_ENTRY`], which wants just that.
#[must_use]
pub fn reset_page() -> [u8; PAGE_SIZE] {
    const HALT: u8 = 0xF4;
    const JUMP: u8 = 0xE9;
    const JUMP_SIZE: usize = 5;
    const START: usize = PAGE_SIZE - 16;
    let mut page = [HALT; PAGE_SIZE];
    // Relative to the next instruction, modulo 4 GiB.
    let next = layout::RESET_PAGE as u32 + (START + JUMP_SIZE) as u32;
    let distance = (layout::THREAD_ENTRY as u32).wrapping_sub(next);
    page[START] = JUMP;
    page[START + 1..START + JUMP_SIZE].copy_from_slice(&distance.to_le_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_instruction_of_tdx_leads_to_the_shim() {
        let page = reset_page();
        assert_eq!(page[0xFF0], 0xE9);
        let distance = u32::from_le_bytes([page[0xFF1], page[0xFF2], page[0xFF3], page[0xFF4]]);
        assert_eq!(0xFFFF_FFF5_u32.wrapping_add(distance), 0x0020_0010);
        assert!(page[..0xFF0].iter().all(|byte| *byte == 0xF4));
    }

    #[test]
    fn processors_start_alike_but_for_where_and_who() {
        let processors = SnpProcessors::default();
        let (first, second) = (processors.save_area(0), processors.save_area(1));
        assert_eq!((first.rip, first.rsi), (layout::ENTRY, 0));
        assert_eq!((second.rip, second.rsi), (layout::THREAD_ENTRY, 1));
        let same = SaveArea {
            rip: first.rip,
            rsi: first.rsi,
            ..second
        };
        assert_eq!(same, first);
        assert_eq!(first.rdx, 0);
    }
}
