//! AMD's own certificates, ARK and ASK (AMD #55766, appendix B).

use aws_lc_rs::{
    digest::{SHA384, digest},
    signature::{
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RsaParameters, RsaPublicKeyComponents,
    },
};

use crate::{Digest, bytes::Bytes};

use super::{Error, Role};

/// A certificate of AMD's.
#[derive(Debug)]
pub(crate) struct Authority<'a> {
    pub(super) role: Role,
    key_id: [u8; 16],
    certifying_id: [u8; 16],
    /// Big-endian, as is the modulus.
    exponent: Vec<u8>,
    modulus: Vec<u8>,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Authority<'a> {
    /// Reads a certificate of `64 + 3 * modulus size` bytes, less where the exponent is
    /// shorter.
    pub(crate) fn parse(certificate: &'a [u8]) -> Result<Self, Error> {
        let wrong = Error::Malformed;
        let cut = |_| wrong("it is truncated");
        let mut bytes = Bytes(certificate);
        if bytes.u32().map_err(cut)? != 1 {
            return Err(wrong("its version is not 1"));
        }
        let key_id = bytes.array().map_err(cut)?;
        let certifying_id = bytes.array().map_err(cut)?;
        let role = match bytes.u32().map_err(cut)? {
            0x00 => Role::Ark,
            0x13 => Role::Ask,
            _ => return Err(wrong("its key is for something else")),
        };
        bytes.take(16).map_err(cut)?;
        let exponent_bits = bytes.u32().map_err(cut)?;
        let modulus_bits = bytes.u32().map_err(cut)?;
        let modulus_bytes = match modulus_bits {
            2048 => 256,
            4096 => 512,
            _ => return Err(wrong("its key is of another size")),
        };
        let exponent_bytes = match exponent_bits {
            2048 => 256,
            4096 => 512,
            _ => return Err(wrong("its exponent is of another size")),
        };
        let exponent = reversed(bytes.take(exponent_bytes).map_err(cut)?);
        let modulus = reversed(bytes.take(modulus_bytes).map_err(cut)?);
        let signed_bytes = certificate.len().saturating_sub(bytes.0.len());
        let signature = reversed(bytes.take(modulus_bytes).map_err(cut)?);
        if !bytes.is_empty() {
            return Err(wrong("something is behind it"));
        }
        Ok(Self {
            role,
            key_id,
            certifying_id,
            exponent: without_zeros(exponent),
            modulus,
            signed: certificate.get(..signed_bytes).unwrap_or_default(),
            signature,
        })
    }

    /// SHA-384 of the modulus, big-endian.
    pub(super) fn key_digest(&self) -> Digest {
        let mut sha384 = [0; 48];
        sha384.copy_from_slice(digest(&SHA384, &self.modulus).as_ref());
        sha384
    }

    /// Checks that this key signed `other`.
    pub(super) fn check_signed(&self, other: &Authority<'_>) -> Result<(), Error> {
        let refused = Error::Signature(other.role);
        if other.certifying_id != self.key_id {
            return Err(refused);
        }
        let hash: &'static RsaParameters = match self.modulus.len() {
            256 => &RSA_PSS_2048_8192_SHA256,
            _ => &RSA_PSS_2048_8192_SHA384,
        };
        self.check(hash, other.signed, &other.signature)
            .map_err(|()| refused)
    }

    /// Checks a signature of this key, big-endian.
    pub(super) fn check(
        &self,
        hash: &'static RsaParameters,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), ()> {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(hash, signed, signature).map_err(|_| ())
    }

    /// Bytes of a signature of this key.
    pub(super) fn signature_bytes(&self) -> usize {
        self.modulus.len()
    }
}

/// AMD writes numbers with the last byte first.
pub(super) fn reversed(little_endian: &[u8]) -> Vec<u8> {
    little_endian.iter().rev().copied().collect()
}

fn without_zeros(big_endian: Vec<u8>) -> Vec<u8> {
    big_endian
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect()
}
