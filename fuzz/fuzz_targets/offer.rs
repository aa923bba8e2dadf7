//! An offer, as an owner reads it: to its end, with a grant sealed to it.
#![no_main]

mod fixed;

use enarx_wire_provision::{Challenge, Grant, OwnerSecret};
use fixed::Fixed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The nonce is 32 times the byte 9: a corpus can hold offers that answer it.
    if let Ok(offer) = Challenge::new(&mut Fixed(9)).answered(bytes) {
        let grant = Grant {
            content_key: [1; 32].into(),
            manifest_digest: [2; 48],
            time_floor: 3,
            application_secret: Some(OwnerSecret::new([4; 32]).application("name")),
        };
        let _ = offer.seal(None, &grant, &mut Fixed(5));
    }
});
