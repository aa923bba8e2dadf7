//! The forms in which evidence and collateral are kept.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use enarx_owner_evidence::{
    Evidence, SimulatedRoots, UnixTime, dcap,
    materials::{self, Kind, Materials, Roots, Unrecognized},
};
use serde_json::json;

use crate::{
    mint::{self, Chain},
    mint_intel::{Mint, NOW},
};

fn add(file: &[u8]) -> Result<Vec<Kind>, Unrecognized> {
    Materials::default().add(file)
}

fn simulated() -> Roots {
    let mut roots = Roots::genuine();
    roots.snp = SimulatedRoots::Any;
    roots.dcap = SimulatedRoots::Pinned(vec![Mint::root_digest()]);
    roots
}

/// A host's table of certificates with the ARK and, as this one, the ASK and the VCEK.
fn table(parts: [&[u8]; 3]) -> Vec<u8> {
    let identifiers = [
        "c0b406a4a803495297433fb6014cd0ae",
        "4ab7b379bbac4fe4a02f05aef327c782",
        "63da758de6644564adc5f4b93be8accd",
    ];
    let mut offset = 4 * 24;
    let mut table = Vec::new();
    for (identifier, part) in identifiers.into_iter().zip(parts) {
        let length = u32::try_from(part.len()).unwrap();
        table.extend(hex::decode(identifier).unwrap());
        table.extend(u32::to_le_bytes(offset));
        table.extend(length.to_le_bytes());
        offset += length;
    }
    table.extend([0; 24]);
    table.extend(parts.concat());
    table
}

#[test]
fn a_report_may_have_its_certificates_behind_it() {
    let issued = Chain::new().issue();
    let report = mint::sign(mint::report());
    let parts = [&issued.root, &issued.authority, &issued.endorsement];
    let der = table(parts.map(Vec::as_slice));
    let pem = parts.map(|part| pem(part));
    let pem = table([&pem[0], &pem[1], &pem[2]].map(String::as_bytes));
    for table in [der, pem] {
        let mut materials = Materials::default();
        let found = materials
            .add(&[report.as_slice(), &table].concat())
            .unwrap();
        assert_eq!(found[0], Kind::SnpReport);
        let evidence = materials.verify(&simulated(), UnixTime(mint::NOW));
        assert!(matches!(evidence, Ok(Evidence::Simulated(_))));
    }
    let padded = [report.as_slice(), &[0; 2816]].concat();
    assert_eq!(add(&padded), Ok(vec![Kind::SnpReport]));
    let other = [report.as_slice(), &[0; 99], &[1]].concat();
    assert_eq!(add(&other), Err(Unrecognized::Unknown));
    let neither = table([&issued.root, &issued.authority, b"neither"]);
    assert_eq!(add(&neither), Err(Unrecognized::Unknown));
}

#[test]
fn text_may_be_escaped_or_of_the_other_alphabet() {
    let root = Chain::new().issue().root;
    let escaped: String = pem(&root)
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    assert_eq!(add(escaped.as_bytes()), Ok(vec![Kind::Certificate]));
    for cut in [
        "-----BEGIN%20CERTIFICATE-----%",
        "-----BEGIN%20CERTIFICATE-----%0",
        "-----BEGIN%20CERTIFICATE-----%0Ä",
        "-----BEGIN%20CERTIFICATE-----%GG",
        "-----BEGIN%20CERTIFICATE-----%FF",
    ] {
        assert_eq!(add(cut.as_bytes()), Err(Unrecognized::Unknown), "{cut}");
    }
    let base64 = URL_SAFE_NO_PAD.encode(&root);
    assert_eq!(add(base64.as_bytes()), Ok(vec![Kind::Certificate]));
}

#[test]
fn all_collateral_may_be_in_one_document() {
    for mint in [Mint::sgx(), Mint::tdx(), Mint::tdx_1_5()] {
        let issued = mint.issue();
        let chain: String = issued.certificates.iter().map(|one| pem(one)).collect();
        let document = |key: &str, file: &[u8]| {
            let text = str::from_utf8(file).unwrap();
            let (contents, signature) = text.rsplit_once(r#","signature":""#).unwrap();
            let contents = contents.strip_prefix(&format!(r#"{{"{key}":"#)).unwrap();
            let signature = signature.strip_suffix(r#""}"#).unwrap();
            (contents.to_owned(), signature.to_owned())
        };
        let (tcb_info, tcb_info_signature) = document("tcbInfo", &issued.tcb_info);
        let (qe_identity, qe_identity_signature) = document("enclaveIdentity", &issued.qe_identity);
        let collateral = json!({
            "tcb_info": tcb_info,
            "tcb_info_signature": tcb_info_signature,
            "tcb_info_issuer_chain": chain,
            "qe_identity": qe_identity,
            "qe_identity_signature": qe_identity_signature,
            "qe_identity_issuer_chain": chain,
            "pck_crl": hex::encode(&issued.pck_revocations),
            "pck_crl_issuer_chain": mint.chain(),
            "root_ca_crl": hex::encode(&issued.root_revocations),
        });
        let quote = json!({ "quote": STANDARD.encode(mint.quote()), "cc_eventlog": null });
        let verify = |collateral: &serde_json::Value| {
            let mut materials = Materials::default();
            materials.add(quote.to_string().as_bytes()).unwrap();
            materials.add(collateral.to_string().as_bytes()).unwrap();
            materials.verify(&simulated(), NOW)
        };
        assert!(verify(&collateral).is_ok());
        let mut changed = collateral.clone();
        changed["tcb_info"] = json!(tcb_info.replace("OutOfDate", "UpToDate"));
        assert!(verify(&changed).is_err());
        let mut missing = collateral;
        missing.as_object_mut().unwrap().remove("pck_crl");
        let file = missing.to_string();
        assert_eq!(add(file.as_bytes()), Err(Unrecognized::Unknown));
    }
}

#[test]
fn documents_with_a_quote() {
    let quote = hex::encode(Mint::tdx().quote());
    let document = |quote: &str, log: &str| {
        let document = json!({ "quote": quote, "cc_eventlog": log });
        add(document.to_string().as_bytes())
    };
    assert_eq!(document(&quote, ""), Ok(vec![Kind::Quote]));
    assert_eq!(document(&quote, "AAAA"), Err(Unrecognized::Unknown));
    assert_eq!(document("AAAA", ""), Err(Unrecognized::Unknown));
}

/// Quotes that carry only what one could ask Intel for the PCK certificate with.
#[test]
fn a_quotes_certificates_may_be_beside_it() {
    let verify = |mint: &Mint, chain: Option<String>| {
        let mut materials = Materials::default();
        materials.add(&mint.quote()).unwrap();
        let issued = mint.issue();
        for file in [
            &issued.tcb_info,
            &issued.qe_identity,
            &issued.pck_revocations,
            &issued.root_revocations,
            &issued.certificates[0],
            &issued.certificates[1],
        ] {
            materials.add(file).unwrap();
        }
        if let Some(chain) = chain {
            materials.add(chain.as_bytes()).unwrap();
        }
        materials.verify(&simulated(), NOW)
    };
    for mut mint in [Mint::sgx(), Mint::tdx(), Mint::tdx_1_5()] {
        mint.certification = 3;
        assert!(verify(&mint, Some(mint.chain())).is_ok());
        // Without them, with those of another platform, and with the authority's alone.
        let lacking = materials::Error::Dcap(dcap::Error::NoCertificates { kind: 3 });
        assert_eq!(verify(&mint, None).unwrap_err(), lacking);
        let mut other = Mint::sgx();
        other.pck.key = other.root.key.clone();
        assert_eq!(verify(&mint, Some(other.chain())).unwrap_err(), lacking);
        // The PCK certificate in the quote, those above it beside.
        mint.certification = 4;
        assert!(verify(&mint, Some(mint.chain())).is_ok());
        assert!(verify(&mint, None).is_ok());
        // What is forged is not told to lack anything.
        mint.certification = 2;
        let mut quote = mint.quote();
        quote[60] ^= 1;
        let error = dcap::with_certificates(&quote, &[]).unwrap_err();
        assert_eq!(error, dcap::Error::QuoteSignature);
    }
    let quote = Mint::sgx().quote();
    assert_eq!(*dcap::with_certificates(&quote, &[]).unwrap(), quote);
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
