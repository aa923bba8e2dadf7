//! A sealed grant, as a Keep opens it. Nothing that is guessed opens.
#![no_main]

mod fixed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(fixed::keep([9; 32]).open(bytes).is_err());
});
