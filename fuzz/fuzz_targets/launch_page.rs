//! Launch pages: the input, and a page that begins with it.
#![no_main]

use enarx_wire_launch::{LaunchPage, PAGE_SIZE};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = LaunchPage::decode(bytes);
    let mut page = [0; PAGE_SIZE];
    let size = bytes.len().min(PAGE_SIZE);
    page[..size].copy_from_slice(&bytes[..size]);
    if let Ok(decoded) = LaunchPage::decode(&page) {
        assert_eq!(decoded.encode(), page);
    }
});
