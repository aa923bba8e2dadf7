//! A quote and collateral of which only the signatures are right, as a host makes them where
//! simulation is allowed: the input is a version, and then what is different in each part.
#![no_main]

#[allow(dead_code, reason = "for more tests than this")]
#[path = "../../owner/evidence/tests/evidence/mint.rs"]
mod mint;
#[allow(dead_code, reason = "for more tests than this")]
#[path = "../../owner/evidence/tests/evidence/mint_intel.rs"]
mod mint_intel;
mod parts;

use mint_intel::Mint;
use parts::part;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, parts)) = input.split_first() else {
        return;
    };
    let mut mint = match kind {
        b'5' => Mint::tdx_1_5(),
        b'4' => Mint::tdx(),
        _ => Mint::sgx(),
    };
    // Differences, so that nothing at all is a quote that is accepted.
    let mut rest = parts;
    alter(&mut mint.body, part(&mut rest));
    alter(&mut mint.qe_report, part(&mut rest));
    alter(&mut mint.pck.extensions[0].value, part(&mut rest));
    for document in [&mut mint.tcb_info, &mut mint.qe_identity] {
        if let Ok(changed) = serde_json::from_slice(part(&mut rest)) {
            *document = changed;
        }
    }
    let verified = mint.verify();
    assert!(verified.is_ok() || !parts.is_empty());
});

fn alter(bytes: &mut [u8], differences: &[u8]) {
    for (byte, difference) in bytes.iter_mut().zip(differences) {
        *byte ^= difference;
    }
}
