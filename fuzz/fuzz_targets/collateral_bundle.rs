//! A bundle of collateral, as an owner without a network gets it.
#![no_main]

use enarx_owner_collateral::Bundle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::from_slice(bytes) {
        assert_eq!(bundle.to_vec().expect("ours"), bytes);
    }
});
