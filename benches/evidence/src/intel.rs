//! TDX quotes, against the crate `dcap-qvl`.

use std::{fs, hint::black_box, path::Path};

use dcap_qvl::verify::verify;
use enarx_evidence_benches::their_collateral;
use enarx_owner_evidence::{
    UnixTime,
    dcap::{Collateral, CollateralBytes, GenuineRoots},
};

use crate::{
    memory,
    rate::{Rival, compare, measure},
};

/// 2025-07-04, at which the collateral holds.
const NOW: UnixTime = UnixTime(1_751_624_191);

pub fn run(vectors: &Path) -> anyhow::Result<()> {
    let collateral = vectors.join("intel-collateral/share");
    let read = |name| fs::read(collateral.join(name));
    let quote = fs::read(vectors.join("tdx/dcap-qvl/tdx_quote-f1c85033.quote.bin"))?;
    let tcb_info = read("tcbinfo-TDX-b0c06f000000-v3-eval17-20250619-49ce05.json")?;
    let qe_identity = read("TD_QE-identity-eval17-20250619-cefb59.json")?;
    let pck_revocations = read("crl-plat-20250619-e583e9.der")?;
    let root_revocations = read("crl-root-20250320-ad6f3f.der")?;
    let signing = [
        read("tcb-signing-20250506-c0575e.der")?,
        read("intel-sgx-root-ca.der")?,
    ];
    let certificates: Vec<&[u8]> = signing.iter().map(Vec::as_slice).collect();
    let bytes = CollateralBytes {
        tcb_info: &tcb_info,
        qe_identity: &qe_identity,
        certificates: &certificates,
        pck_revocations: &pck_revocations,
        root_revocations: &root_revocations,
    };
    let all = || {
        let collateral = Collateral::verify(&bytes, GenuineRoots, NOW).expect("Intel's");
        collateral.verify_quote(&quote, NOW).expect("genuine")
    };
    let warm = Collateral::verify(&bytes, GenuineRoots, NOW)?;

    let theirs = their_collateral(&quote, &bytes, &signing)?;
    let mut rivals: [Rival<'_>; 3] = [
        (
            "enarx, TDX, collateral kept",
            Box::new(|| {
                black_box(warm.verify_quote(&quote, NOW).expect("genuine"));
            }),
        ),
        (
            "enarx, TDX, everything each time",
            Box::new(|| {
                black_box(all());
            }),
        ),
        (
            "dcap-qvl",
            Box::new(|| {
                black_box(verify(&quote, &theirs, NOW.0).expect("genuine"));
            }),
        ),
    ];
    let rates = measure(&mut rivals);
    compare("TDX, collateral kept", rates[0], rates[2], 2.0);
    memory("TDX, everything each time", || {
        black_box(all());
    });
    Ok(())
}
