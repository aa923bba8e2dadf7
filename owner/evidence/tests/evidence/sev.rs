//! The certificates of a real platform with AMD SEV before SEV-SNP.

use std::fs;

use enarx_owner_evidence::{
    FailureKind, UnixTime,
    materials::{self, Materials, Roots},
    sev::{Error, Role, verify_platform},
};

use crate::vectors;

const NAMES: [&str; 6] = ["pdh", "pek", "oca", "cek", "ask", "ark"];

fn platform() -> Option<[Vec<u8>; 6]> {
    let folder = vectors::directory()?.join("sev-legacy/naples");
    Some(NAMES.map(|name| fs::read(folder.join(format!("{name}.cert"))).unwrap()))
}

fn verify(certificates: &[Vec<u8>]) -> Result<(&'static str, (u8, u8)), Error> {
    let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    verify_platform(&certificates).map(|platform| (platform.generation(), platform.api()))
}

#[test]
fn a_platform_leads_to_amd() {
    let Some(mut platform) = platform() else {
        return;
    };
    assert_eq!(verify(&platform), Ok(("Naples", (0, 16))));
    platform.reverse();
    assert!(verify(&platform).is_ok());
}

#[test]
fn each_certificate_is_needed() {
    let Some(platform) = platform() else {
        return;
    };
    let roles = [
        Role::Pdh,
        Role::Pek,
        Role::Oca,
        Role::Cek,
        Role::Ask,
        Role::Ark,
    ];
    for (index, role) in roles.into_iter().enumerate() {
        let mut without = platform.to_vec();
        without.remove(index);
        assert_eq!(verify(&without), Err(Error::Missing(role)));
    }
    assert_eq!(verify(&[]), Err(Error::Missing(Role::Ark)));
}

#[test]
fn no_byte_that_counts_can_be_changed() {
    let Some(platform) = platform() else {
        return;
    };
    for (index, name) in NAMES.into_iter().enumerate() {
        let length = platform[index].len();
        for offset in (0..length).step_by(3) {
            // Behind what is signed only the bytes of the signatures that are there count.
            let small = length == 2084;
            let signed = 0..0x414;
            let first = 0x41c..0x41c + if name == "cek" { 256 } else { 144 };
            let second = 0x624..0x624 + if name == "pek" { 144 } else { 0 };
            if small
                && !signed.contains(&offset)
                && !first.contains(&offset)
                && !second.contains(&offset)
            {
                continue;
            }
            let mut changed = platform.to_vec();
            changed[index][offset] ^= 0x10;
            assert!(verify(&changed).is_err(), "{name} at {offset}");
        }
        for end in [0, 1, 64, length - 1] {
            let mut cut = platform.to_vec();
            cut[index].truncate(end);
            assert!(verify(&cut).is_err(), "{name} of {end} bytes");
        }
    }
}

#[test]
fn a_platform_is_no_evidence() {
    let Some(platform) = platform() else {
        return;
    };
    let verify = |certificates: &[Vec<u8>]| {
        let mut materials = Materials::default();
        for certificate in certificates {
            materials.add(certificate).unwrap();
        }
        materials
            .verify(&Roots::genuine(), UnixTime(0))
            .unwrap_err()
    };
    let error = verify(&platform);
    assert_eq!(error, materials::Error::SevPlatform("Naples"));
    assert_eq!(error.kind(), FailureKind::Malformed);
    let mut forged = platform.to_vec();
    forged[1][40] ^= 1;
    assert_eq!(verify(&forged).kind(), FailureKind::NotGenuine);
    assert_eq!(verify(&platform[..5]).kind(), FailureKind::Collateral);
}
