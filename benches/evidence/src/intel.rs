//! SGX and TDX quotes, against the crate `dcap-qvl`.

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

/// A quote with the collateral that is its kind's.
struct Sample {
    tee: &'static str,
    quote: &'static str,
    tcb_info: &'static str,
    qe_identity: &'static str,
    pck_revocations: &'static str,
}

const SAMPLES: [Sample; 2] = [
    Sample {
        tee: "SGX",
        quote: "sgx/dcap-qvl/sgx_quote-f8b81014.quote.bin",
        tcb_info: "tcbinfo-SGX-00a067110000-v3-eval17-20250619-39a7da.json",
        qe_identity: "QE-identity-eval17-20250619-36cbb1.json",
        pck_revocations: "crl-proc-20250619-5b07d3.der",
    },
    Sample {
        tee: "TDX",
        quote: "tdx/dcap-qvl/tdx_quote-f1c85033.quote.bin",
        tcb_info: "tcbinfo-TDX-b0c06f000000-v3-eval17-20250619-49ce05.json",
        qe_identity: "TD_QE-identity-eval17-20250619-cefb59.json",
        pck_revocations: "crl-plat-20250619-e583e9.der",
    },
];

pub fn run(vectors: &Path) -> anyhow::Result<()> {
    SAMPLES.iter().try_for_each(|sample| sample.run(vectors))
}

impl Sample {
    fn run(&self, vectors: &Path) -> anyhow::Result<()> {
        let collateral = vectors.join("intel-collateral/share");
        let read = |name| fs::read(collateral.join(name));
        let quote = fs::read(vectors.join(self.quote))?;
        let tcb_info = read(self.tcb_info)?;
        let qe_identity = read(self.qe_identity)?;
        let pck_revocations = read(self.pck_revocations)?;
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
        let tee = self.tee;
        let names = [
            format!("enarx, {tee}, collateral kept"),
            format!("enarx, {tee}, everything each time"),
            format!("dcap-qvl, {tee}"),
        ];
        let mut rivals: [Rival<'_>; 3] = [
            (
                &names[0],
                Box::new(|| {
                    black_box(warm.verify_quote(&quote, NOW).expect("genuine"));
                }),
            ),
            (
                &names[1],
                Box::new(|| {
                    black_box(all());
                }),
            ),
            (
                &names[2],
                Box::new(|| {
                    black_box(verify(&quote, &theirs, NOW.0).expect("genuine"));
                }),
            ),
        ];
        let rates = measure(&mut rivals);
        compare(&format!("{tee}, collateral kept"), rates[0], rates[2], 2.0);
        memory(&format!("{tee}, everything each time"), || {
            black_box(all());
        });
        Ok(())
    }
}
