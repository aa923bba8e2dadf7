//! Headers of the attestation device, both ways.
#![no_main]

use enarx_wire_hostcall::attestation::{AnswerHeader, MAX_ANSWER, RequestHeader};

libfuzzer_sys::fuzz_target!(|bytes: [u8; 8]| {
    if let Ok(header) = RequestHeader::decode(bytes) {
        assert_eq!(header.encode(), bytes);
    }
    if let Ok(header) = AnswerHeader::decode(bytes) {
        assert!(header.length as usize <= MAX_ANSWER);
        assert_eq!(header.encode(), bytes);
    }
});
