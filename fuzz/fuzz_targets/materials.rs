//! Evidence with its endorsements, in files that anyone may have made.
#![no_main]

use enarx_owner_evidence::{
    Genuine, UnixTime, azure,
    cca::{self, PlatformKey},
    dcap,
    materials::{Materials, Roots},
    nitro, nvidia, se, sev,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime(1_800_000_000);
    let mut materials = Materials::default();
    // A line of its own separates files.
    for file in bytes.split(|byte| *byte == b'\n') {
        let _ = materials.add(file);
    }
    let _ = materials.add(bytes);
    let mut roots = Roots::genuine();
    if let Ok(keys) = PlatformKey::<Genuine>::read(bytes) {
        roots.cca = keys;
    }
    if let Ok(digests) = se::roots(&materials.certificates()) {
        roots.se = digests;
    }
    let _ = materials.verify(&roots, now);
    let _ = materials.verify_host_key(&roots, now);
    let _ = dcap::with_certificates(bytes, &materials.certificates());
    let _ = materials.claimed_nonce();
    // Each reader by itself too, whatever the bytes look like.
    let _ = cca::verify(bytes, &roots.cca);
    let _ = nitro::verify(bytes, &nitro::GenuineRoots, now);
    let _ = nvidia::Report::parse(bytes);
    let _ = azure::Evidence::parse(bytes);
    let _ = azure::snp_report(bytes);
    let _ = sev::verify_platform(&[bytes]);
});
