//! A mint of simulated evidence, so that tests can get one thing wrong at a time.
//!
//! It shares nothing with the verifier but the formats, and it is not the host's
//! simulator either.

use std::sync::OnceLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA384, RSA_PSS_SHA384,
        RsaEncoding,
    },
};
use x509_cert::der::{Encode as _, asn1::ObjectIdentifier};

/// A moment at which everything minted by default is valid: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;

pub const PRODUCT_NAME: &str = "1.3.6.1.4.1.3704.1.2";
pub const BOOTLOADER: &str = "1.3.6.1.4.1.3704.1.3.1";
pub const TEE: &str = "1.3.6.1.4.1.3704.1.3.2";
pub const SNP: &str = "1.3.6.1.4.1.3704.1.3.3";
pub const MICROCODE: &str = "1.3.6.1.4.1.3704.1.3.8";
pub const HARDWARE_ID: &str = "1.3.6.1.4.1.3704.1.4";
pub const PROVIDER_ID: &str = "1.3.6.1.4.1.3704.1.5";

/// The chip that default reports and certificates are of.
pub const CHIP_ID: [u8; 64] = [0xc1; 64];
/// The TCB of default reports and certificates: bootloader 4, tee 1, snp 24, microcode 219.
pub const TCB: [u8; 8] = [4, 1, 0, 0, 0, 0, 24, 219];

/// The keys of the mint, made once for all tests of a process.
pub struct Keys {
    pub root: rsa::KeyPair,
    pub authority: rsa::KeyPair,
    pub endorsement: EcdsaKeyPair,
}

pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        root: rsa::KeyPair::generate(KeySize::Rsa4096).unwrap(),
        authority: rsa::KeyPair::generate(KeySize::Rsa4096).unwrap(),
        endorsement: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    })
}

/// What goes into a certificate.
#[derive(Clone)]
pub struct Certificate {
    pub serial: u8,
    pub subject: &'static str,
    pub issuer: &'static str,
    pub not_before: &'static str,
    pub not_after: &'static str,
    /// `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
    pub extensions: Vec<Extension>,
    /// `signatureAlgorithm`, inside and outside.
    pub algorithms: [Vec<u8>; 2],
    pub pkcs1: bool,
}

#[derive(Clone)]
pub struct Extension {
    pub id: &'static str,
    pub critical: bool,
    pub value: Vec<u8>,
}

/// The three certificates before they are signed.
#[derive(Clone)]
pub struct Chain {
    pub root: Certificate,
    pub authority: Certificate,
    pub endorsement: Certificate,
}

/// The three certificates, in DER.
pub struct Issued {
    pub root: Vec<u8>,
    pub authority: Vec<u8>,
    pub endorsement: Vec<u8>,
}

impl Chain {
    /// A chain of a simulated Milan chip in which nothing is wrong.
    pub fn new() -> Self {
        let keys = keys();
        let certificate = |subject, issuer, key, extensions| Certificate {
            serial: 1,
            subject,
            issuer,
            not_before: "250101000000Z",
            not_after: "350101000000Z",
            key,
            extensions,
            algorithms: [pss(48), pss(48)],
            pkcs1: false,
        };
        Self {
            root: certificate(
                "Enarx Simulator ARK",
                "Enarx Simulator ARK",
                rsa_key(keys.root.public_key().as_ref()),
                vec![authority(None)],
            ),
            authority: certificate(
                "Enarx Simulator ASK",
                "Enarx Simulator ARK",
                rsa_key(keys.authority.public_key().as_ref()),
                vec![authority(Some(0))],
            ),
            endorsement: certificate(
                "SEV-VCEK",
                "Enarx Simulator ASK",
                p384_key(keys.endorsement.public_key().as_ref()),
                vec![
                    extension(PRODUCT_NAME, tlv(0x16, b"Milan-B0")),
                    extension(BOOTLOADER, integer(TCB[0])),
                    extension(TEE, integer(TCB[1])),
                    extension(SNP, integer(TCB[6])),
                    extension(MICROCODE, integer(TCB[7])),
                    extension(HARDWARE_ID, CHIP_ID.to_vec()),
                ],
            ),
        }
    }

    pub fn issue(&self) -> Issued {
        let keys = keys();
        Issued {
            root: self.root.sign(&keys.root),
            authority: self.authority.sign(&keys.root),
            endorsement: self.endorsement.sign(&keys.authority),
        }
    }
}

/// A revocation list before it is signed.
#[derive(Clone)]
pub struct RevocationList {
    pub algorithm: Vec<u8>,
    pub issuer: &'static str,
    pub this_update: &'static str,
    pub next_update: Option<&'static str>,
    /// Serial numbers; AMD's certificates of the mint have the number 1.
    pub revoked: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl RevocationList {
    /// A list of the root's that revokes nothing of the mint.
    pub fn new() -> Self {
        Self {
            algorithm: pss(48),
            issuer: "Enarx Simulator ARK",
            this_update: "261201000000Z",
            next_update: Some("271201000000Z"),
            revoked: vec![2, 3],
            extensions: Vec::new(),
        }
    }

    pub fn sign(&self, signer: &rsa::KeyPair) -> Vec<u8> {
        self.sign_with(|signed| sign_rsa(signer, &RSA_PSS_SHA384, signed))
    }

    pub fn sign_with(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let time = |text: &str| tlv(0x17, text.as_bytes());
        let revoked = self.revoked.iter();
        let revoked: Vec<u8> = revoked
            .flat_map(|serial| tlv(0x30, &[integer(*serial), time(self.this_update)].concat()))
            .collect();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        let extensions = match extensions.as_slice() {
            [] => Vec::new(),
            some => tlv(0xa0, &tlv(0x30, some)),
        };
        let signed = tlv(
            0x30,
            &[
                integer(1),
                self.algorithm.clone(),
                name(self.issuer),
                time(self.this_update),
                self.next_update.map(time).unwrap_or_default(),
                tlv(0x30, &revoked),
                extensions,
            ]
            .concat(),
        );
        let signature = bit_string(&sign(&signed));
        tlv(0x30, &[signed, self.algorithm.clone(), signature].concat())
    }
}

impl Certificate {
    pub fn extension(&mut self, id: &'static str) -> &mut Vec<u8> {
        let found = self.extensions.iter_mut().find(|one| one.id == id);
        &mut found.expect("the extension is there").value
    }

    pub fn remove(&mut self, id: &'static str) {
        self.extensions.retain(|extension| extension.id != id);
    }

    pub fn sign(&self, signer: &rsa::KeyPair) -> Vec<u8> {
        let encoding = if self.pkcs1 {
            &RSA_PKCS1_SHA384
        } else {
            &RSA_PSS_SHA384
        };
        self.sign_with(|signed| sign_rsa(signer, encoding, signed))
    }

    pub fn sign_with(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        let signed = tlv(
            0x30,
            &[
                tlv(0xa0, &integer(2)),
                integer(self.serial),
                self.algorithms[0].clone(),
                name(self.issuer),
                tlv(
                    0x30,
                    &[
                        tlv(0x17, self.not_before.as_bytes()),
                        tlv(0x17, self.not_after.as_bytes()),
                    ]
                    .concat(),
                ),
                name(self.subject),
                self.key.clone(),
                tlv(0xa3, &tlv(0x30, &extensions)),
            ]
            .concat(),
        );
        let signature = bit_string(&sign(&signed));
        tlv(
            0x30,
            &[signed, self.algorithms[1].clone(), signature].concat(),
        )
    }
}

pub fn sign_rsa(
    signer: &rsa::KeyPair,
    encoding: &'static dyn RsaEncoding,
    signed: &[u8],
) -> Vec<u8> {
    let mut signature = vec![0; signer.public_modulus_len()];
    signer
        .sign(encoding, &SystemRandom::new(), signed, &mut signature)
        .unwrap();
    signature
}

impl Extension {
    fn encode(&self) -> Vec<u8> {
        let critical = if self.critical {
            tlv(0x01, &[0xff])
        } else {
            Vec::new()
        };
        tlv(
            0x30,
            &[oid(self.id), critical, tlv(0x04, &self.value)].concat(),
        )
    }
}

/// A version 3 report in which nothing is wrong, not signed yet.
pub fn report() -> Vec<u8> {
    let mut report = vec![0; 0x4a0];
    put(&mut report, 0x000, &3u32.to_le_bytes());
    put(&mut report, 0x008, &(1u64 << 17).to_le_bytes());
    put(&mut report, 0x034, &1u32.to_le_bytes());
    put(&mut report, 0x050, &[0xd4; 64]);
    put(&mut report, 0x090, &[0x3e; 48]);
    put(&mut report, 0x0c0, &[0x40; 32]);
    put(&mut report, 0x160, &[0xff; 32]);
    for tcb in [0x038, 0x180, 0x1e0, 0x1f0] {
        put(&mut report, tcb, &TCB);
    }
    put(&mut report, 0x188, &[0x19, 0x01, 0x01]);
    put(&mut report, 0x1a0, &CHIP_ID);
    report
}

pub fn put(report: &mut [u8], offset: usize, value: &[u8]) {
    report[offset..offset + value.len()].copy_from_slice(value);
}

/// Signs a report with the mint's endorsement key.
pub fn sign(mut report: Vec<u8>) -> Vec<u8> {
    let signature = keys()
        .endorsement
        .sign(&SystemRandom::new(), &report[..0x2a0])
        .unwrap();
    for (half, offset) in signature.as_ref().chunks_exact(48).zip([0x2a0, 0x2e8]) {
        let little_endian: Vec<u8> = half.iter().rev().copied().collect();
        put(&mut report, offset, &little_endian);
    }
    report
}

pub fn extension(id: &'static str, value: Vec<u8>) -> Extension {
    Extension {
        id,
        critical: false,
        value,
    }
}

/// Critical basic constraints of an authority.
pub fn authority(path_length: Option<u8>) -> Extension {
    let path_length = path_length.map(integer).unwrap_or_default();
    Extension {
        id: "2.5.29.19",
        critical: true,
        value: tlv(0x30, &[tlv(0x01, &[0xff]), path_length].concat()),
    }
}

/// Critical key usage with one bit.
pub fn key_usage(bits: u8) -> Extension {
    Extension {
        id: "2.5.29.15",
        critical: true,
        value: tlv(0x03, &[bits.trailing_zeros() as u8, bits]),
    }
}

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384, and a salt of so many bytes.
pub fn pss(salt_bytes: u8) -> Vec<u8> {
    let sha384 = tlv(
        0x30,
        &[oid("2.16.840.1.101.3.4.2.2"), tlv(0x05, &[])].concat(),
    );
    let mgf1 = tlv(
        0x30,
        &[oid("1.2.840.113549.1.1.8"), sha384.clone()].concat(),
    );
    let parameters = tlv(
        0x30,
        &[
            tlv(0xa0, &sha384),
            tlv(0xa1, &mgf1),
            tlv(0xa2, &integer(salt_bytes)),
        ]
        .concat(),
    );
    tlv(0x30, &[oid("1.2.840.113549.1.1.10"), parameters].concat())
}

/// RSASSA-PKCS1-v1_5 with SHA-384.
pub fn pkcs1() -> Vec<u8> {
    rsa_algorithm("1.2.840.113549.1.1.12")
}

/// An algorithm of RSASSA-PKCS1-v1_5.
pub fn rsa_algorithm(id: &str) -> Vec<u8> {
    tlv(0x30, &[oid(id), tlv(0x05, &[])].concat())
}

pub fn rsa_key(key: &[u8]) -> Vec<u8> {
    let algorithm = [oid("1.2.840.113549.1.1.1"), tlv(0x05, &[])].concat();
    tlv(0x30, &[tlv(0x30, &algorithm), bit_string(key)].concat())
}

pub fn p384_key(point: &[u8]) -> Vec<u8> {
    elliptic_key("1.3.132.0.34", point)
}

pub fn p256_key(point: &[u8]) -> Vec<u8> {
    elliptic_key("1.2.840.10045.3.1.7", point)
}

pub fn elliptic_key(curve: &str, point: &[u8]) -> Vec<u8> {
    let algorithm = [oid("1.2.840.10045.2.1"), oid(curve)].concat();
    tlv(0x30, &[tlv(0x30, &algorithm), bit_string(point)].concat())
}

/// ECDSA with SHA-256.
pub fn ecdsa_sha256() -> Vec<u8> {
    tlv(0x30, &oid("1.2.840.10045.4.3.2"))
}

/// ECDSA with SHA-384.
pub fn ecdsa_sha384() -> Vec<u8> {
    tlv(0x30, &oid("1.2.840.10045.4.3.3"))
}

pub fn integer(value: u8) -> Vec<u8> {
    if value < 0x80 {
        tlv(0x02, &[value])
    } else {
        tlv(0x02, &[0, value])
    }
}

pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match value.len() {
        length @ 0..=0x7f => encoded.push(length as u8),
        length @ 0x80..=0xff => encoded.extend([0x81, length as u8]),
        length => {
            let length = u16::try_from(length).unwrap().to_be_bytes();
            encoded.extend([0x82, length[0], length[1]]);
        }
    }
    encoded.extend(value);
    encoded
}

/// A common name, or several attributes as in `C=US,O=Enarx`.
fn name(name: &str) -> Vec<u8> {
    if name.contains('=') {
        let name: x509_cert::name::Name = name.parse().unwrap();
        return name.to_der().unwrap();
    }
    let value = [oid("2.5.4.3"), tlv(0x0c, name.as_bytes())].concat();
    tlv(0x30, &tlv(0x31, &tlv(0x30, &value)))
}

pub fn oid(text: &str) -> Vec<u8> {
    tlv(0x06, ObjectIdentifier::new_unwrap(text).as_bytes())
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}
