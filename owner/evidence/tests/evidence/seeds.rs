//! Evidence in which nothing is wrong, for fuzz targets to start from.

use std::{fs, path::Path};

use enarx_owner_evidence::{dcap, snp};

use crate::{cca_sins, mint, mint_intel, mint_nvidia, se};

#[test]
#[ignore = "writes new seeds into fuzz/seeds"]
fn write() {
    for (name, mut mint) in [
        ("sgx", mint_intel::Mint::sgx()),
        ("tdx", mint_intel::Mint::tdx()),
        ("tdx-1.5", mint_intel::Mint::tdx_1_5()),
    ] {
        let root = dcap::SIMULATED_ROOT_NAME;
        mint.root.subject = root;
        mint.root.issuer = root;
        mint.authority.issuer = root;
        mint.tcb_signing.issuer = root;
        mint.root_list.issuer = root;
        let issued = mint.issue();
        let [signer, root] = issued.certificates.try_into().unwrap();
        let files = [
            mint.quote(),
            issued.tcb_info,
            issued.qe_identity,
            signer,
            root,
            issued.pck_revocations,
            issued.root_revocations,
        ];
        put("dcap_quote", name, &files);
        put("materials", name, &files);
    }

    let chain = mint::Chain::new();
    assert_eq!(chain.root.subject, snp::SIMULATED_ROOT_NAME);
    let issued = chain.issue();
    let files = [
        mint::sign(mint::report()),
        issued.endorsement,
        issued.authority,
        issued.root,
        mint::RevocationList::new().sign(&mint::keys().root),
    ];
    put("snp_report", "simulated", &files);
    put("materials", "snp", &files);

    for (name, files) in cca_sins::files() {
        put("materials", name, &files);
    }
    put("materials", "host-key", &se::files());

    let devices = mint_nvidia::Mint::new();
    let [device, root] = devices.device_chain();
    let manifest = devices.manifest(mint_nvidia::DRIVER, &[(0, &[[1; 48]], true)]);
    let files = [
        devices.report(&[[1; 48], [2; 48]], 0xaa),
        device,
        root,
        manifest.clone().into_bytes(),
    ];
    put("materials", "nvidia", &files);
    let file = Path::new(SEEDS).join("nvidia_manifest/driver");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, manifest).unwrap();
}

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");

/// Writes files as `fuzz/fuzz_targets/parts.rs` reads them: each behind its length.
fn put(target: &str, name: &str, files: &[Vec<u8>]) {
    let mut seed = Vec::new();
    for file in files {
        seed.extend(u16::try_from(file.len()).unwrap().to_le_bytes());
        seed.extend(file);
    }
    let directory = Path::new(SEEDS).join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), seed).unwrap();
}
