//! What benches and tests share: the vectors, and the same collateral for both verifiers. Ours
//! takes it as Intel serves it, `dcap-qvl` in a form of its own.

use std::{collections::HashMap, env, path::PathBuf};

use anyhow::Context as _;
use dcap_qvl::QuoteCollateralV3;
use enarx_owner_evidence::dcap::{CollateralBytes, Quote};
use serde_json::value::RawValue;

/// Where real evidence is: `ENARX_VECTORS`, else `shared/vectors` beside the project. Says so
/// and gives nothing when it is absent.
#[must_use]
pub fn vectors() -> Option<PathBuf> {
    let vectors = env::var_os("ENARX_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    if vectors.join("cases.json").is_file() {
        return Some(vectors);
    }
    println!(
        "SKIPPED: no evidence in {}; set ENARX_VECTORS",
        vectors.display()
    );
    None
}

/// The collateral for `quote` in the form of `dcap-qvl`; `signing` is the chain of the TCB
/// signing key, in DER.
///
/// # Errors
///
/// When something cannot be read.
pub fn their_collateral(
    quote: &[u8],
    collateral: &CollateralBytes<'_>,
    signing: &[Vec<u8>],
) -> anyhow::Result<QuoteCollateralV3> {
    let chain = Quote::parse(quote)?.certificates()?;
    let (tcb_info, tcb_info_signature) = signed(collateral.tcb_info, "tcbInfo")?;
    let (qe_identity, qe_identity_signature) = signed(collateral.qe_identity, "enclaveIdentity")?;
    Ok(QuoteCollateralV3 {
        pck_crl_issuer_chain: pem(&chain[1..]),
        root_ca_crl: collateral.root_revocations.to_vec(),
        pck_crl: collateral.pck_revocations.to_vec(),
        tcb_info_issuer_chain: pem(signing),
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain: pem(signing),
        qe_identity,
        qe_identity_signature,
        pck_certificate_chain: None,
    })
}

/// The text of a document that its signature covers, and the signature.
fn signed(document: &[u8], key: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let parts: HashMap<String, Box<RawValue>> = serde_json::from_slice(document)?;
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
