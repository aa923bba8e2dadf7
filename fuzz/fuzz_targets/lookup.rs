//! Lookups of names, which Keep and host send each other.
#![no_main]

use enarx_wire_hostcall::lookup::{
    MAX_ANSWER, MAX_REQUEST, decode_answer, decode_request, encode_answer, encode_request,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok((number, name)) = decode_request(bytes) {
        let mut buffer = [0; MAX_REQUEST];
        assert_eq!(encode_request(number, name, &mut buffer), Some(bytes));
    }
    if let Ok((number, answer)) = decode_answer(bytes) {
        let mut buffer = [0; MAX_ANSWER];
        let addresses = answer.map(Iterator::collect::<Vec<_>>);
        let answer = addresses.as_deref().map_err(|refusal| *refusal);
        assert_eq!(encode_answer(number, answer, &mut buffer), bytes);
    }
});
