//! A package's manifest.
#![no_main]

use enarx_wire_package::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode().unwrap(), bytes);
    }
});
