//! Manifests of reference values.
#![no_main]

use enarx_owner_appraisal::corim::Manifest;
use enarx_owner_evidence::UnixTime;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime(1_800_000_000);
    let Ok(manifest) = Manifest::from_unsigned(bytes, now) else {
        return;
    };
    // What was read can be written, unless nothing of it was understood.
    if let Ok(written) = manifest.to_unsigned() {
        let again = Manifest::from_unsigned(&written, now).expect("ours");
        assert_eq!(again.values, manifest.values);
    }
});
