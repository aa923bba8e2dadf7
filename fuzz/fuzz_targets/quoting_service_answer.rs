#![no_main]
//! What Intel's quoting service, or who pretends to be it, answers.

use enarx_host_launcher::sgx::aesm::{Answer, Request, Value, fields};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut size = 0;
    for (_, value) in fields(bytes).map_while(Result::ok) {
        if let Value::Bytes(bytes) = value {
            size += bytes.len();
        }
    }
    assert!(size <= bytes.len());
    for request in [
        Request::InitQuoteEx,
        Request::GetQuoteSizeEx,
        Request::GetQuoteEx,
        Request::GetSupportedAttKeyIdNum,
        Request::GetSupportedAttKeyIds,
    ] {
        if let Ok(answer) = Answer::decode(request, bytes) {
            for field in 1..=4 {
                let _ = (answer.number(field), answer.bytes(field));
            }
        }
    }
});
