//! Any CBOR at all: what is accepted has one encoding.
#![no_main]

use ciborium::value::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = enarx_wire_cbor::from_slice::<Value>(bytes, 1 << 16) {
        assert_eq!(enarx_wire_cbor::to_vec(&value).unwrap(), bytes);
    }
});
