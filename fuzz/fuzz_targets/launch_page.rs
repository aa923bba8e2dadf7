//! Pages that a shim finds in its memory at launch, and an enclave's signature: the input, and
//! a page that begins with it.
#![no_main]

use enarx_wire_launch::{
    LaunchPage, PAGE_SIZE,
    sgx::{EnclaveInfo, Sigstruct},
    vm::{Boot, GuestInfo},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = LaunchPage::decode(bytes);
    if let Ok(signature) = Sigstruct::decode(bytes) {
        assert_eq!(signature.as_bytes().as_slice(), bytes);
        let _ = (signature.statement(), signature.mr_signer());
    }
    let mut page = [0; PAGE_SIZE];
    let size = bytes.len().min(PAGE_SIZE);
    page[..size].copy_from_slice(&bytes[..size]);
    if let Ok(decoded) = LaunchPage::decode(&page) {
        assert_eq!(decoded.encode(), page);
    }
    let first = page.first_chunk().expect("a page is longer");
    if let Ok(boot) = Boot::decode(*first) {
        assert_eq!(boot.encode().first_chunk(), Some(first));
    }
    // What is behind their last field does not count, nor what is behind a segment without access.
    if let Ok(info) = GuestInfo::decode(&page) {
        let written = info.encode();
        let again = GuestInfo::decode(&written).map(|info| info.encode());
        assert_eq!(again, Ok(written));
    }
    if let Ok(info) = EnclaveInfo::decode(&page) {
        let written = info.encode();
        let again = EnclaveInfo::decode(&written).map(|info| info.encode());
        assert_eq!(again, Ok(written));
    }
});
