//! TDX quotes, against the crate `dcap-qvl`.

use std::{fs, hint::black_box, path::Path};

use anyhow::Context as _;
use dcap_qvl::{QuoteCollateralV3, verify::verify};
use enarx_owner_evidence::{
    UnixTime,
    dcap::{Collateral, CollateralBytes, GenuineRoots, Quote},
};
use serde_json::value::RawValue;

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

    let chain = Quote::parse(&quote)?.certificates()?;
    let (tcb_info_text, tcb_info_signature) = signed(&tcb_info, "tcbInfo")?;
    let (qe_identity_text, qe_identity_signature) = signed(&qe_identity, "enclaveIdentity")?;
    let theirs = QuoteCollateralV3 {
        pck_crl_issuer_chain: pem(&chain[1..]),
        root_ca_crl: root_revocations.clone(),
        pck_crl: pck_revocations.clone(),
        tcb_info_issuer_chain: pem(&signing),
        tcb_info: tcb_info_text,
        tcb_info_signature,
        qe_identity_issuer_chain: pem(&signing),
        qe_identity: qe_identity_text,
        qe_identity_signature,
        pck_certificate_chain: None,
    };
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

/// The text of a document that its signature covers, and the signature.
fn signed(document: &[u8], key: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let parts: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_slice(document)?;
    let part = |name: &str| parts.get(name).with_context(|| format!("no {name}"));
    let signature: String = serde_json::from_str(part("signature")?.get())?;
    Ok((part(key)?.get().to_owned(), hex::decode(signature)?))
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let blocks = certificates
        .iter()
        .map(|der| pem::Pem::new("CERTIFICATE", der.clone()));
    pem::encode_many(&blocks.collect::<Vec<_>>())
}
