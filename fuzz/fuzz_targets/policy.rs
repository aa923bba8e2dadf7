//! A policy in TOML.
#![no_main]

use enarx_owner_appraisal::Policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Policy::from_toml(text);
    }
});
