//! What a guest of SEV-SNP reads of its firmware, past a host that can write what it likes.
#![no_main]

use enarx_keep_shim_vm::snp::{
    cpuid::CpuidPage,
    message::{Channel, Kind, Page},
    secrets::take_key,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut page: Page = [0; 4096];
    let length = bytes.len().min(page.len());
    page[..length].copy_from_slice(&bytes[..length]);
    for bit in [38, 51] {
        if let Ok(found) = CpuidPage::read(&page, 1 << bit) {
            for function in [0, 1, 7, 0xD, 0x8000_001F] {
                let _ = found.lookup(function, function);
            }
        }
    }
    let mut answer = [0; 4096];
    let asked = Channel::new(&[7; 32]).ask(
        Kind::ReportRequest,
        &[1; 96],
        Kind::ReportResponse,
        &mut answer,
        |_, answer| {
            *answer = page;
            Ok(())
        },
    );
    // Nobody here has the key.
    assert!(asked.is_err());
    let _ = take_key(&mut page);
    assert!(page[0x20..0xA0].iter().all(|byte| *byte == 0));
});
