//! Certificates of a platform (AMD #55766, appendix C).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::der::{Encode as _, asn1::UintRef};

use crate::bytes::Bytes;

use super::{
    Error, Role,
    authority::{Authority, reversed},
};

/// A certificate of a platform.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    pub(super) role: Role,
    /// Major and minor version of the platform's API.
    pub(super) api: (u8, u8),
    curve: Curve,
    /// Uncompressed (SEC 1, section 2.3.3).
    point: Vec<u8>,
    signed: &'a [u8],
    signatures: [Signature<'a>; 2],
}

/// A signature, or a place for one.
#[derive(Debug, Clone, Copy)]
struct Signature<'a> {
    /// Usage of the key that made it.
    usage: u32,
    algorithm: u32,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl<'a> Certificate<'a> {
    /// Bytes of every such certificate.
    pub(crate) const BYTES: usize = 0x824;
    /// Bytes that signatures cover.
    const SIGNED_BYTES: usize = 0x414;
    /// Bytes of the largest key.
    const KEY_BYTES: usize = 0x404;
    /// Bytes of the largest signature.
    const SIGNATURE_BYTES: usize = 0x200;

    /// Reads a certificate.
    pub(crate) fn parse(certificate: &'a [u8]) -> Result<Self, Error> {
        let wrong = Error::Malformed;
        let cut = |_| wrong("it has another size than 2084 bytes");
        if certificate.len() != Self::BYTES {
            return Err(cut(()));
        }
        let cut = |_| cut(());
        let (signed, _) = certificate.split_at(Self::SIGNED_BYTES);
        let mut bytes = Bytes(certificate);
        if bytes.u32().map_err(cut)? != 1 {
            return Err(wrong("its version is not 1"));
        }
        let [major, minor, _, _] = bytes.array().map_err(cut)?;
        let role = role(bytes.u32().map_err(cut)?).ok_or(wrong("its key is for something else"))?;
        let algorithm = bytes.u32().map_err(cut)?;
        let agrees = matches!(algorithm, ECDH_SHA256 | ECDH_SHA384);
        let signs = matches!(algorithm, ECDSA_SHA256 | ECDSA_SHA384);
        if !(if role == Role::Pdh { agrees } else { signs }) {
            return Err(wrong("its key's algorithm does not go with its use"));
        }
        let mut key = Bytes(bytes.take(Self::KEY_BYTES).map_err(cut)?);
        let curve = match key.u32().map_err(cut)? {
            1 => Curve::P256,
            2 => Curve::P384,
            _ => return Err(wrong("its key is on another curve")),
        };
        let mut point = vec![4];
        for _ in 0..2 {
            point.extend(curve.number(key.take(NUMBER_BYTES).map_err(cut)?)?);
        }
        let mut signature = || {
            Ok(Signature {
                usage: bytes.u32().map_err(cut)?,
                algorithm: bytes.u32().map_err(cut)?,
                bytes: bytes.take(Self::SIGNATURE_BYTES).map_err(cut)?,
            })
        };
        let signatures = [signature()?, signature()?];
        Ok(Self {
            role,
            api: (major, minor),
            curve,
            point,
            signed,
            signatures,
        })
    }

    /// Checks that one of the signatures is that of AMD's `authority`.
    pub(super) fn check_signed_by_amd(&self, authority: &Authority<'_>) -> Result<(), Error> {
        let signature = self.signature_by(authority.role)?;
        let hash = match signature.algorithm {
            RSA_SHA256 => &RSA_PSS_2048_8192_SHA256,
            RSA_SHA384 => &RSA_PSS_2048_8192_SHA384,
            _ => return Err(Error::Signature(self.role)),
        };
        let number = signature.bytes.get(..authority.signature_bytes());
        let number = number.ok_or(Error::Signature(self.role))?;
        authority
            .check(hash, self.signed, &reversed(number))
            .map_err(|()| Error::Signature(self.role))
    }

    /// Checks that one of the signatures is that of `signer`.
    pub(super) fn check_signed_by(&self, signer: &Certificate<'_>) -> Result<(), Error> {
        let refused = Error::Signature(self.role);
        let signature = self.signature_by(signer.role)?;
        let algorithm: &'static dyn VerificationAlgorithm =
            match (signer.curve, signature.algorithm) {
                (Curve::P256, ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
                (Curve::P256, ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
                (Curve::P384, ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
                (Curve::P384, ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
                _ => return Err(refused),
            };
        let mut numbers = Bytes(signature.bytes);
        let mut number = || {
            let number = numbers.take(NUMBER_BYTES).map_err(|_| refused)?;
            signer.curve.number(number)
        };
        let encoded = encode(&number()?, &number()?).ok_or(refused)?;
        UnparsedPublicKey::new(algorithm, &signer.point)
            .verify(self.signed, &encoded)
            .map_err(|_| refused)
    }

    fn signature_by(&self, signer: Role) -> Result<Signature<'a>, Error> {
        let mut signatures = self.signatures.into_iter();
        signatures
            .find(|signature| role(signature.usage) == Some(signer))
            .ok_or(Error::Signature(self.role))
    }
}

impl Curve {
    /// A number below the curve's order, big-endian, from the last byte first and zeros
    /// behind.
    fn number(self, little_endian: &[u8]) -> Result<Vec<u8>, Error> {
        let bytes = match self {
            Self::P256 => 32,
            Self::P384 => 48,
        };
        match little_endian.split_at_checked(bytes) {
            Some((number, zeros)) if zeros.iter().all(|byte| *byte == 0) => Ok(reversed(number)),
            _ => Err(Error::Malformed("a number is larger than its curve's")),
        }
    }
}

const NUMBER_BYTES: usize = 72;

// Algorithms (AMD #55766, appendix C).
const RSA_SHA256: u32 = 0x001;
const ECDSA_SHA256: u32 = 0x002;
const ECDH_SHA256: u32 = 0x003;
const RSA_SHA384: u32 = 0x101;
const ECDSA_SHA384: u32 = 0x102;
const ECDH_SHA384: u32 = 0x103;

/// Usages of keys (AMD #55766, appendix C).
fn role(usage: u32) -> Option<Role> {
    match usage {
        0x0000 => Some(Role::Ark),
        0x0013 => Some(Role::Ask),
        0x1001 => Some(Role::Oca),
        0x1002 => Some(Role::Pek),
        0x1003 => Some(Role::Pdh),
        0x1004 => Some(Role::Cek),
        _ => None,
    }
}

/// A signature as the library takes it, a DER `SEQUENCE` of R and S.
fn encode(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let integer = |number| UintRef::new(number).ok()?.to_der().ok();
    let numbers = [integer(r)?, integer(s)?].concat();
    let length = u8::try_from(numbers.len())
        .ok()
        .filter(|size| *size < 0x80)?;
    Some([&[0x30, length], numbers.as_slice()].concat())
}
