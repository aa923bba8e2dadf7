//! Verification of a platform's certificates.

use crate::Digest;

use super::{Authority, Certificate, Error, Role};

/// AMD's roots, by the SHA-384 of their modulus, with the generation of processors that
/// each is for.
pub const AMD_SEV_ROOTS: [(&str, Digest); 3] = [
    (
        "Naples",
        [
            0x9f, 0x93, 0x01, 0x3a, 0x52, 0x7f, 0x91, 0xe3, 0x18, 0xdf, 0xf8, 0x3e, 0xc0, 0x39,
            0xe5, 0xff, 0x1d, 0xce, 0xbd, 0x14, 0x9a, 0x8a, 0xe1, 0xf3, 0x92, 0x68, 0x92, 0x73,
            0x79, 0xbd, 0x1e, 0x27, 0x04, 0x35, 0xe7, 0x02, 0x3b, 0xf0, 0x4e, 0xef, 0x66, 0x03,
            0xc6, 0x26, 0xa2, 0xbc, 0xa0, 0xcc,
        ],
    ),
    (
        "Rome",
        [
            0x61, 0xe8, 0x87, 0xdb, 0x20, 0x6c, 0xf9, 0x0a, 0xf9, 0x59, 0x7f, 0x32, 0xee, 0x04,
            0x57, 0x15, 0x26, 0x60, 0x9f, 0x0e, 0xbc, 0x98, 0x56, 0x72, 0x0d, 0x3d, 0x13, 0x84,
            0xf6, 0xca, 0xdf, 0x3d, 0xf1, 0x6b, 0x68, 0x74, 0xdf, 0x2b, 0x82, 0xa0, 0x46, 0xb2,
            0x74, 0xea, 0x67, 0x5e, 0x4f, 0x98,
        ],
    ),
    (
        "Milan",
        [
            0x25, 0x1a, 0x2c, 0xf9, 0x65, 0x1d, 0x34, 0xb6, 0x24, 0xa5, 0x36, 0xad, 0x76, 0xae,
            0xad, 0x60, 0x2e, 0x38, 0x31, 0x41, 0x53, 0xe9, 0xfe, 0x65, 0x47, 0xf1, 0xa3, 0x5a,
            0x69, 0x93, 0xea, 0xe7, 0x80, 0xa4, 0xb0, 0xe0, 0x39, 0x33, 0x77, 0x1c, 0xd9, 0x05,
            0x6f, 0x28, 0x34, 0x95, 0x51, 0x1c,
        ],
    ),
];

/// A platform whose certificates lead to AMD's root. It is no evidence of what runs there.
///
/// Only verification makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedPlatform {
    generation: &'static str,
    api: (u8, u8),
}

impl VerifiedPlatform {
    /// The generation of processors that its root is for.
    #[must_use]
    pub fn generation(&self) -> &'static str {
        self.generation
    }

    /// Major and minor version of the platform's API, as its PEK has it.
    #[must_use]
    pub fn api(&self) -> (u8, u8) {
        self.api
    }
}

/// Verifies the certificates of a platform, given in any order. They do not expire.
///
/// # Errors
///
/// The first thing found wrong, from the root down.
pub fn verify_platform(certificates: &[&[u8]]) -> Result<VerifiedPlatform, Error> {
    let mut authorities = Vec::new();
    let mut others = Vec::new();
    for certificate in certificates {
        if certificate.len() == Certificate::BYTES {
            others.push(Certificate::parse(certificate)?);
        } else {
            authorities.push(Authority::parse(certificate)?);
        }
    }
    let authority = |role| {
        let mut found = authorities.iter().filter(|one| one.role == role);
        found.next().ok_or(Error::Missing(role))
    };
    let other = |role| {
        let mut found = others.iter().filter(|one| one.role == role);
        found.next().ok_or(Error::Missing(role))
    };
    let ark = authority(Role::Ark)?;
    let anchor = ark.key_digest();
    let mut roots = AMD_SEV_ROOTS.iter();
    let (generation, _) = roots
        .find(|(_, root)| *root == anchor)
        .ok_or(Error::UntrustedRoot)?;
    ark.check_signed(ark)?;
    let ask = authority(Role::Ask)?;
    ark.check_signed(ask)?;
    let cek = other(Role::Cek)?;
    cek.check_signed_by_amd(ask)?;
    let oca = other(Role::Oca)?;
    oca.check_signed_by(oca)?;
    let pek = other(Role::Pek)?;
    pek.check_signed_by(oca)?;
    pek.check_signed_by(cek)?;
    other(Role::Pdh)?.check_signed_by(pek)?;
    Ok(VerifiedPlatform {
        generation,
        api: pek.api,
    })
}
