//! A manifest of NVIDIA's, signed XML that anyone may have made.
#![no_main]

use enarx_owner_evidence::{
    UnixTime,
    nvidia::{GenuineRoots, verify_manifest},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime(1_767_225_600);
    // NVIDIA's own may be among the seeds.
    if let Ok(manifest) = verify_manifest(bytes, &GenuineRoots, now) {
        assert!(manifest.validity().contains(now));
    }
});
