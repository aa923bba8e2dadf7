//! Headers of channel envelopes.
#![no_main]

use enarx_wire_hostcall::envelope::{Header, MAX_PAYLOAD};

libfuzzer_sys::fuzz_target!(|bytes: [u8; 5]| {
    if let Ok(header) = Header::decode(bytes) {
        assert!(header.length as usize <= MAX_PAYLOAD);
        assert_eq!(header.encode(), bytes);
    }
});
