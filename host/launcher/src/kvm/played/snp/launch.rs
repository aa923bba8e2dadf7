//! What SEV-SNP's firmware puts into a guest's pages at its launch.

use enarx_host_simulator::snp::MESSAGE_KEY_SIZE;
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::layout;
use kvm_bindings::CpuId;

/// The secrets page (AMD #56860, 8.17.2.5): version 3, and the key of level 0.
pub(super) fn secrets_page(key: &[u8; MESSAGE_KEY_SIZE]) -> [u8; PAGE_SIZE] {
    const KEY: usize = 0x20;
    let mut page = [0; PAGE_SIZE];
    page[0] = 3;
    page[KEY..KEY + MESSAGE_KEY_SIZE].copy_from_slice(key);
    page
}

/// The CPUID page (AMD #56860, 8.17.2.6) of processors that offer `cpuid`, with the function that says
/// that memory is encrypted.
pub(super) fn cpuid_page(cpuid: &CpuId) -> [u8; PAGE_SIZE] {
    const ENTRIES: usize = 16;
    const ENTRY_SIZE: usize = 48;
    const MOST: usize = 64;
    const ENCRYPTED_MEMORY: u32 = 0x8000_001F;
    /// SEV, SEV-ES, SEV-SNP.
    const PROTECTED: u32 = 1 << 1 | 1 << 3 | 1 << 4;
    let offered = cpuid.as_slice().iter().map(|entry| {
        let (eax, ebx) = (entry.eax, entry.ebx);
        [entry.function, entry.index, eax, ebx, entry.ecx, entry.edx]
    });
    let bit = layout::SNP_PRIVATE_PLAYED.trailing_zeros();
    let encrypted = [ENCRYPTED_MEMORY, 0, PROTECTED, bit, 0, 0];
    let entries = offered.filter(|[function, ..]| *function != ENCRYPTED_MEMORY);
    let entries: Vec<_> = [encrypted].into_iter().chain(entries).take(MOST).collect();

    let mut page = [0; PAGE_SIZE];
    page[..4].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    for (place, entry) in page[ENTRIES..].chunks_exact_mut(ENTRY_SIZE).zip(entries) {
        for (offset, word) in [0, 4, 24, 28, 32, 36].into_iter().zip(entry) {
            place[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
    page
}
