//! The programs of a Keep image, as they are made into pages.
#![no_main]

mod parts;

use enarx_wire_launch::{
    KeepImage, Platform, SgxImage, VmImage,
    sgx::{EnclaveOptions, EnclavePages},
    vm::GuestPages,
};
use parts::part;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let image = KeepImage {
        runtime: part(&mut rest),
        runtime_digest: [1; 48],
        sgx: SgxImage {
            shim: part(&mut rest),
            runtime_pages_digest: [2; 32],
        },
        vm: VmImage {
            shim: part(&mut rest),
            ..VmImage::default()
        },
    };
    let memory = 1 << 30;
    let _ = EnclavePages::new(&image, EnclaveOptions::of_keep(memory));
    let _ = GuestPages::new(Platform::Snp, &image, memory);
});
