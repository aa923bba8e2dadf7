//! An SGX or TDX quote, and all that a host presents with it.
#![no_main]

mod parts;

use enarx_owner_evidence::{
    UnixTime,
    dcap::{
        Collateral, CollateralBytes, GenuineRoots, RevocationLists, SimulatedRoots, TrustAnchors,
        verify_signatures,
    },
};
use parts::part;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Bytes of the smallest header and body, all of which are signed.
const SIGNED: usize = 432;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let quote = part(&mut rest);
    let collateral = CollateralBytes {
        tcb_info: part(&mut rest),
        qe_identity: part(&mut rest),
        certificates: &[part(&mut rest), part(&mut rest)],
        pck_revocations: part(&mut rest),
        root_revocations: part(&mut rest),
    };
    verify(quote, &collateral, &GenuineRoots);
    verify(quote, &collateral, &SimulatedRoots::Any);
    if let Ok(collateral) = Collateral::verify(&collateral, SimulatedRoots::Any, NOW) {
        let _ = collateral.verify_quote(quote, NOW);
    }
});

/// What is accepted is accepted without revocation lists too, and unaltered alone.
fn verify(quote: &[u8], collateral: &CollateralBytes<'_>, anchors: &impl TrustAnchors) {
    let lists = RevocationLists {
        pck: collateral.pck_revocations,
        root: collateral.root_revocations,
    };
    let accepted = verify_signatures(quote, None, anchors, NOW).is_ok();
    let unrevoked = verify_signatures(quote, Some(&lists), anchors, NOW).is_ok();
    assert!(accepted || !unrevoked);
    if accepted {
        let mut altered = quote.to_vec();
        altered[quote.len() % SIGNED] ^= 1;
        assert!(verify_signatures(&altered, None, anchors, NOW).is_err());
    }
}
