//! Issuing the simulated processor's certificates.
//!
//! The structures are RFC 5280's; the signature algorithm, the names' order
//! and the VCEK's extensions follow AMD's certificates ("Versioned Chip
//! Endorsement Key (VCEK) Certificate and KDS Interface Specification", AMD
//! publication 57230, chapter 3).

use std::time::SystemTime;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, RSA_PSS_SHA384};
use der::asn1::{Any, Ia5StringRef, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::x509::{
    CertificateError, Period, TbsCertificate, VERSION_3, authority, authority_key_identifier,
    ec_spki, extension, key_usage, name, subject_key_identifier,
};

use super::tcb::TcbVersion;
use super::{Certificates, ROOT_NAME, chip_id};

/// Everything that first use makes: the certificates, and the one key that
/// is kept.
pub(super) struct Issued {
    pub certificates: Certificates,
    pub vcek: EcdsaKeyPair,
}

/// Makes the three keys and issues the three certificates. The RSA keys are
/// dropped on return.
pub(super) fn issue() -> Result<Issued, CertificateError> {
    let validity = Period::from(SystemTime::now())?.validity()?;
    let (ark_key, ask_key) = generate_rsa_keys()?;
    let vcek_key = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING)
        .map_err(|_| CertificateError::KeyGeneration)?;

    let ark_name = name(ROOT_NAME)?;
    let ask_name = name("Enarx Simulator ASK")?;
    let ark_spki = rsa_spki(&ark_key)?;
    let ask_spki = rsa_spki(&ask_key)?;

    let ark = sign(
        &ark_key,
        TbsCertificate {
            version: VERSION_3,
            serial_number: SerialNumber::new(&[0x01, 0x00, 0x00])?,
            signature: rsa_pss_sha384()?,
            issuer: ark_name.clone(),
            validity,
            subject: ark_name.clone(),
            extensions: vec![
                key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?,
                subject_key_identifier(&ark_spki)?,
                authority(None)?,
            ],
            subject_public_key_info: ark_spki.clone(),
        },
    )?;
    let ask = sign(
        &ark_key,
        TbsCertificate {
            version: VERSION_3,
            serial_number: SerialNumber::new(&[0x01, 0x00, 0x01])?,
            signature: rsa_pss_sha384()?,
            issuer: ark_name,
            validity,
            subject: ask_name.clone(),
            extensions: vec![
                subject_key_identifier(&ask_spki)?,
                authority_key_identifier(&ark_spki)?,
                authority(Some(0))?,
                key_usage(KeyUsages::KeyCertSign)?,
            ],
            subject_public_key_info: ask_spki,
        },
    )?;
    let vcek = sign(
        &ask_key,
        TbsCertificate {
            version: VERSION_3,
            serial_number: SerialNumber::new(&[0])?,
            signature: rsa_pss_sha384()?,
            issuer: ask_name,
            validity,
            subject: name("SEV-VCEK")?,
            subject_public_key_info: ec_spki(&vcek_key)?,
            extensions: vcek_extensions(TcbVersion::SIMULATED, &chip_id(&vcek_key))?,
        },
    )?;
    Ok(Issued {
        certificates: Certificates { ark, ask, vcek },
        vcek: vcek_key,
    })
}

/// The steppings with which AMD's service names a Milan part.
const PRODUCT_NAME: &str = "Milan-B0";

/// RSASSA-PSS-params (RFC 4055, 3.1) with every field present.
#[derive(Sequence)]
struct RsaPssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask_generation: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    salt_length: u8,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    trailer_field: u8,
}

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes. DER would
/// leave out the trailer field, whose value is the default; AMD's ARK and ASK
/// write it, so verifiers have to accept it and this does the same.
fn rsa_pss_sha384() -> Result<AlgorithmIdentifierOwned, CertificateError> {
    let sha384 = AlgorithmIdentifierOwned {
        oid: SHA384,
        parameters: Some(Any::null()),
    };
    let parameters = RsaPssParameters {
        mask_generation: AlgorithmIdentifierOwned {
            oid: MGF1,
            parameters: Some(Any::encode_from(&sha384)?),
        },
        hash: sha384,
        salt_length: 48,
        trailer_field: 1,
    };
    Ok(AlgorithmIdentifierOwned {
        oid: RSASSA_PSS,
        parameters: Some(Any::encode_from(&parameters)?),
    })
}

fn sign(key: &RsaKeyPair, tbs: TbsCertificate) -> Result<Vec<u8>, CertificateError> {
    crate::x509::sign(&tbs.to_der()?, tbs.signature, |contents| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PSS_SHA384,
            &SystemRandom::new(),
            contents,
            &mut signature,
        )
        .map_err(|_| CertificateError::Signing)?;
        Ok(signature)
    })
}

/// Makes both RSA keys at once: each takes about a second of one core.
fn generate_rsa_keys() -> Result<(RsaKeyPair, RsaKeyPair), CertificateError> {
    let generate =
        || RsaKeyPair::generate(KeySize::Rsa4096).map_err(|_| CertificateError::KeyGeneration);
    std::thread::scope(|scope| {
        let other = scope.spawn(generate);
        let one = generate();
        let other = other.join().unwrap_or(Err(CertificateError::KeyGeneration));
        Ok((one?, other?))
    })
}

/// The extensions of a VCEK (57230, 3.1, table "VCEK Certificate Extensions"), in
/// the order in which AMD's service writes them.
fn vcek_extensions(tcb: TcbVersion, chip_id: &[u8]) -> Result<Vec<Extension>, CertificateError> {
    let integer = |value: u8| value.to_der();
    let unused = 0;
    let values = [
        ("1.3.6.1.4.1.3704.1.1", integer(0)?),
        (
            "1.3.6.1.4.1.3704.1.2",
            Ia5StringRef::new(PRODUCT_NAME)?.to_der()?,
        ),
        ("1.3.6.1.4.1.3704.1.3.1", integer(tcb.boot_loader)?),
        ("1.3.6.1.4.1.3704.1.3.2", integer(tcb.tee)?),
        ("1.3.6.1.4.1.3704.1.3.4", integer(unused)?),
        ("1.3.6.1.4.1.3704.1.3.5", integer(unused)?),
        ("1.3.6.1.4.1.3704.1.3.6", integer(unused)?),
        ("1.3.6.1.4.1.3704.1.3.7", integer(unused)?),
        ("1.3.6.1.4.1.3704.1.3.3", integer(tcb.snp)?),
        ("1.3.6.1.4.1.3704.1.3.8", integer(tcb.microcode)?),
        // Unlike the others, the identity stands there bare, not as a DER value.
        ("1.3.6.1.4.1.3704.1.4", chip_id.to_vec()),
    ];
    values
        .into_iter()
        .map(|(oid, value)| extension(ObjectIdentifier::new_unwrap(oid), false, value))
        .collect()
}

fn rsa_spki(key: &RsaKeyPair) -> Result<Any, CertificateError> {
    let document = AsDer::<PublicKeyX509Der>::as_der(key.public_key())
        .map_err(|_| CertificateError::KeyGeneration)?;
    Ok(Any::from_der(document.as_ref())?)
}
