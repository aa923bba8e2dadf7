//! Evidence with its endorsements, in files that anyone may have made.
#![no_main]

mod parts;

use enarx_owner_evidence::{
    Genuine, UnixTime, azure,
    cca::{self, PlatformKey},
    dcap,
    materials::{Materials, Roots},
    nitro, nvidia, se, sev, snp,
};
use parts::part;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime(1_800_000_000);
    let mut materials = Materials::default();
    let mut roots = Roots {
        snp: snp::SimulatedRoots::Any,
        dcap: dcap::SimulatedRoots::Any,
        ..Roots::genuine()
    };
    let mut files = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let file = part(&mut rest);
        let _ = materials.add(file);
        if let Ok(keys) = PlatformKey::<Genuine>::read(file) {
            roots.cca.extend(keys);
        }
        files.push(file);
    }
    if let Ok(digests) = se::roots(&materials.certificates()) {
        roots.se = digests;
    }
    let _ = materials.verify(&roots, now);
    let _ = materials.verify_host_key(&roots, now);
    let _ = materials.claimed_nonce();
    let _ = sev::verify_platform(&files);
    // Each reader by itself too, whatever the first file looks like.
    let first = files.first().copied().unwrap_or_default();
    let _ = dcap::with_certificates(first, &materials.certificates());
    let _ = cca::verify(first, &roots.cca);
    let _ = nitro::verify(first, &nitro::GenuineRoots, now);
    let _ = nvidia::Report::parse(first);
    let _ = azure::Evidence::parse(first);
    let _ = azure::snp_report(first);
});
