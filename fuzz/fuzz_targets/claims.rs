//! A Keep's claims.
#![no_main]

use enarx_wire_provision::{Claims, MAX_OFFER_SIZE};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(claims) = enarx_wire_cbor::from_slice::<Claims>(bytes, MAX_OFFER_SIZE) {
        assert_eq!(enarx_wire_cbor::to_vec(&claims).unwrap(), bytes);
    }
});
