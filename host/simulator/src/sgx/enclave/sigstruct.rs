//! SIGSTRUCT: what EINIT accepts.

use aws_lc_rs::digest;
use num_bigint::BigUint;

use super::bytes::{array, is_zero, u16_at, u32_at};
use super::error::InitError;
use super::secs::Secs;
use crate::sgx::{Attributes, EnclaveIdentity};

/// Size of a SIGSTRUCT in bytes (SDM volume 3D, 38.13).
pub const SIGSTRUCT_SIZE: usize = 1808;

const HEADER: [u8; 16] = [6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
const HEADER_2: [u8; 16] = [1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0];
const VENDOR_INTEL: u32 = 0x8086;
const EXPONENT: u32 = 3;
const MODULUS_SIZE: usize = 384;

/// A DigestInfo for SHA-256 without the digest (RFC 8017, 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// Checks everything that EINIT checks, in its order, and returns who the enclave is.
///
/// Launch control is left out: as with Linux, whoever signs may launch.
pub(super) fn initialise(
    sigstruct: &[u8; SIGSTRUCT_SIZE],
    secs: &Secs,
    mrenclave: [u8; 32],
) -> Result<EnclaveIdentity, InitError> {
    check_structure(sigstruct)?;
    check_signature(sigstruct)?;

    let isv_family_id = array(sigstruct, 912);
    let isv_ext_prod_id = array(sigstruct, 1008);
    if !secs.has_key_separation() && !is_zero(&isv_family_id) {
        return Err(InitError::SignatureStructure(
            "ISVFAMILYID without the attribute KSS",
        ));
    }
    if array::<32>(sigstruct, 960) != mrenclave {
        return Err(InitError::Measurement(mrenclave));
    }
    let (signed_attributes, mask) = (array::<16>(sigstruct, 928), array::<16>(sigstruct, 944));
    let differs = secs
        .attribute_bytes()
        .iter()
        .zip(signed_attributes)
        .zip(mask)
        .any(|((ours, signed), mask)| (ours ^ signed) & mask != 0);
    if differs {
        return Err(InitError::Attribute("attributes"));
    }
    if (secs.misc_select ^ u32_at(sigstruct, 900)) & u32_at(sigstruct, 904) != 0 {
        return Err(InitError::Attribute("MISCSELECT bits"));
    }

    let mut mrsigner = [0; 32];
    mrsigner.copy_from_slice(digest::digest(&digest::SHA256, modulus(sigstruct)).as_ref());
    Ok(EnclaveIdentity {
        mrenclave,
        mrsigner,
        attributes: Attributes::from_bytes(&secs.initialised_attribute_bytes()),
        misc_select: secs.misc_select,
        isv_prod_id: u16_at(sigstruct, 1024),
        isv_svn: u16_at(sigstruct, 1026),
        config_id: secs.config_id,
        config_svn: secs.config_svn,
        isv_ext_prod_id,
        isv_family_id,
    })
}

fn check_structure(sigstruct: &[u8; SIGSTRUCT_SIZE]) -> Result<(), InitError> {
    let require = |holds, otherwise| {
        if holds {
            Ok(())
        } else {
            Err(InitError::SignatureStructure(otherwise))
        }
    };
    require(array(sigstruct, 0) == HEADER, "HEADER")?;
    require(matches!(u32_at(sigstruct, 16), 0 | VENDOR_INTEL), "VENDOR")?;
    require(is_date(u32_at(sigstruct, 20)), "DATE")?;
    require(array(sigstruct, 24) == HEADER_2, "HEADER2")?;
    require(u32_at(sigstruct, 512) == EXPONENT, "EXPONENT")?;
    // 908: CET, which no enclave has here.
    let reserved = [44..128, 908..912, 992..1008, 1028..1040];
    require(
        reserved.into_iter().all(|field| is_zero(&sigstruct[field])),
        "a reserved field is not zero",
    )
}

/// Whether `date` is `yyyymmdd` in binary coded decimal, which is what DATE is
/// defined as. Hardware does not look.
fn is_date(date: u32) -> bool {
    let digits = (0..8).map(|digit| date >> (4 * digit) & 0xf);
    let (month, day) = (date >> 8 & 0xff, date & 0xff);
    digits.into_iter().all(|digit| digit < 10)
        && (0x01..=0x12).contains(&month)
        && (0x01..=0x31).contains(&day)
}

/// Verifies RSA-3072 with exponent 3, PKCS #1 v1.5 and SHA-256 as the processor
/// does: with the two quotients that SIGSTRUCT carries, so that a wrong
/// quotient is refused as well.
fn check_signature(sigstruct: &[u8; SIGSTRUCT_SIZE]) -> Result<(), InitError> {
    let number = |offset| BigUint::from_bytes_le(&sigstruct[offset..offset + MODULUS_SIZE]);
    let (modulus, signature) = (number(128), number(516));
    let (quotient_1, quotient_2) = (number(1040), number(1424));

    if modulus.bits() != 8 * MODULUS_SIZE as u64 || signature >= modulus {
        return Err(InitError::Signature);
    }
    let remainder = |product: BigUint, quotient: BigUint| {
        let multiple = quotient * &modulus;
        if multiple > product {
            return Err(InitError::Signature);
        }
        let remainder = product - multiple;
        if remainder < modulus {
            Ok(remainder)
        } else {
            Err(InitError::Signature)
        }
    };
    let square = remainder(&signature * &signature, quotient_1)?;
    let cube = remainder(square * &signature, quotient_2)?;
    if cube == BigUint::from_bytes_be(&encoded_message(sigstruct)) {
        Ok(())
    } else {
        Err(InitError::Signature)
    }
}

/// The padded digest of what is signed: SIGSTRUCT without the key, the
/// signature and the quotients (EMSA-PKCS1-v1_5; RFC 8017, 9.2).
fn encoded_message(sigstruct: &[u8; SIGSTRUCT_SIZE]) -> [u8; MODULUS_SIZE] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&sigstruct[..128]);
    context.update(&sigstruct[900..1028]);
    let digest = context.finish();

    let mut message = [0xff; MODULUS_SIZE];
    let digest_start = MODULUS_SIZE - digest.as_ref().len();
    let info_start = digest_start - SHA256_DIGEST_INFO.len();
    message[..2].copy_from_slice(&[0, 1]);
    message[info_start - 1] = 0;
    message[info_start..digest_start].copy_from_slice(&SHA256_DIGEST_INFO);
    message[digest_start..].copy_from_slice(digest.as_ref());
    message
}

fn modulus(sigstruct: &[u8; SIGSTRUCT_SIZE]) -> &[u8] {
    &sigstruct[128..128 + MODULUS_SIZE]
}
