//! SEV-SNP, against the crate `sev` with OpenSSL.

use std::{fs, hint::black_box, path::Path};

use enarx_owner_evidence::{
    UnixTime,
    snp::{AMD_AUTHORITIES, Certificates, EndorsementKey, GenuineRoots, Report, verify},
};
use sev::{
    certs::snp::{Certificate, Chain, Verifiable as _, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser as _,
};

use crate::{
    memory,
    rate::{Rival, compare, measure},
};

/// 2026-11-18, at which the certificates hold.
const NOW: UnixTime = UnixTime(1_795_000_000);

pub fn run(vectors: &Path) -> anyhow::Result<()> {
    let report = fs::read(vectors.join("snp/oak/genoa-v5.report.bin"))?;
    let vcek = fs::read(vectors.join("snp/oak/genoa-v5.vcek.der"))?;
    let mut bag = AMD_AUTHORITIES.to_vec();
    bag.push(&vcek);
    let certificates = Certificates::among(&bag, &Report::parse(&report)?)?;
    let key = EndorsementKey::verify(&certificates, &GenuineRoots, NOW)?;
    let chain = Chain {
        ca: ca::Chain {
            ark: Certificate::from_der(certificates.root)?,
            ask: Certificate::from_der(certificates.signing_authority)?,
        },
        vek: Certificate::from_der(&vcek)?,
    };
    let theirs = || AttestationReport::from_bytes(&report).expect("a report");
    let mut rivals: [Rival<'_>; 4] = [
        (
            "enarx, SNP, chain kept",
            Box::new(|| {
                black_box(key.verify_report(&report, NOW).expect("genuine"));
            }),
        ),
        (
            "enarx, SNP, chain each time",
            Box::new(|| {
                black_box(verify(&report, &certificates, &GenuineRoots, NOW).expect("genuine"));
            }),
        ),
        (
            "sev, chain each time",
            Box::new(|| (&chain, &theirs()).verify().expect("genuine")),
        ),
        (
            "sev, report alone",
            Box::new(|| (&chain.vek, &theirs()).verify().expect("genuine")),
        ),
    ];
    let rates = measure(&mut rivals);
    compare("SNP, chain kept", rates[0], rates[2], 2.0);
    compare(
        "SNP, chain kept, against the report alone",
        rates[0],
        rates[3],
        2.0,
    );
    memory("SNP, chain each time", || {
        black_box(verify(&report, &certificates, &GenuineRoots, NOW).expect("genuine"));
    });
    println!();
    Ok(())
}
