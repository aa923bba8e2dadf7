//! An SGX or TDX quote, and revocation lists that a host presents with it.
#![no_main]

use enarx_owner_evidence::{
    UnixTime,
    dcap::{GenuineRoots, RevocationLists, verify_signatures},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (quote, rest) = bytes.split_at(bytes.len() / 2);
    let (pck, root) = rest.split_at(rest.len() / 2);
    let lists = RevocationLists { pck, root };
    let now = UnixTime(1_800_000_000);
    for quote in [bytes, quote] {
        let _ = verify_signatures(quote, Some(&lists), &GenuineRoots, now);
    }
});
