//! Issuing the simulated platform's certificates and revocation lists.
//!
//! Names, extensions and algorithms follow *Intel SGX PCK Certificate and CRL Profile
//! Specification*. Below the root, subjects have Intel's common names, because verifiers tell
//! by them what a certificate is for; the other attributes say what they are worth.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use der::asn1::{Any, ObjectIdentifier};
use der::{Encode, Sequence, Tag};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::name::RdnSequence;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::{ROOT_NAME, platform};
use crate::x509::{
    self, CertificateError, Period, TbsCertificate, VERSION_3, authority, authority_key_identifier,
    ec_spki, end_entity, extension, key_usage, name, subject_key_identifier,
};

/// Everything that is issued in DER, and the two keys that sign something else.
pub(super) struct Issued {
    pub root: Vec<u8>,
    pub pck_authority: Vec<u8>,
    pub pck: Vec<u8>,
    pub tcb_signing: Vec<u8>,
    pub root_revocations: Vec<u8>,
    pub pck_revocations: Vec<u8>,
    pub pck_key: EcdsaKeyPair,
    pub tcb_signing_key: EcdsaKeyPair,
}

/// Makes four keys, and issues a certificate for each. The keys of the two authorities are
/// dropped on return.
pub(super) fn issue(period: Period, ppid: &[u8; 16]) -> Result<Issued, CertificateError> {
    let root = Authority::generate(ROOT_NAME)?;
    let pck_authority = Authority::generate("Intel SGX PCK Processor CA")?;
    let pck_key = generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let tcb_signing_key = generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let certify = |issuer: &Authority, subject: Subject<'_>| issuer.certify(subject, period);
    let of_authority = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    let of_end_entity = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;

    Ok(Issued {
        root: certify(
            &root,
            Subject {
                serial: 1,
                name: &root.name,
                key: &root.key,
                extensions: vec![key_usage(of_authority)?, authority(Some(1))?],
            },
        )?,
        pck_authority: certify(
            &root,
            Subject {
                serial: 2,
                name: &pck_authority.name,
                key: &pck_authority.key,
                extensions: vec![key_usage(of_authority)?, authority(Some(0))?],
            },
        )?,
        pck: certify(
            &pck_authority,
            Subject {
                serial: 1,
                name: &name("Intel SGX PCK Certificate")?,
                key: &pck_key,
                extensions: vec![
                    key_usage(of_end_entity)?,
                    end_entity()?,
                    sgx_extensions(ppid)?,
                ],
            },
        )?,
        tcb_signing: certify(
            &root,
            Subject {
                serial: 3,
                name: &name("Intel SGX TCB Signing")?,
                key: &tcb_signing_key,
                extensions: vec![key_usage(of_end_entity)?, end_entity()?],
            },
        )?,
        root_revocations: root.revoke_nothing(period)?,
        pck_revocations: pck_authority.revoke_nothing(period)?,
        pck_key,
        tcb_signing_key,
    })
}

/// A message's signature as quotes and documents have it: two scalars of 32 bytes.
pub(super) fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Result<[u8; 64], CertificateError> {
    let signature = key
        .sign(&SystemRandom::new(), message)
        .map_err(|_| CertificateError::Signing)?;
    signature
        .as_ref()
        .try_into()
        .map_err(|_| CertificateError::Signing)
}

pub(super) fn generate(
    algorithm: &'static EcdsaSigningAlgorithm,
) -> Result<EcdsaKeyPair, CertificateError> {
    EcdsaKeyPair::generate(algorithm).map_err(|_| CertificateError::KeyGeneration)
}

/// Who issues certificates, with its name and key.
struct Authority {
    name: RdnSequence,
    key: EcdsaKeyPair,
}

/// Whose certificate is issued.
struct Subject<'a> {
    serial: u8,
    name: &'a RdnSequence,
    key: &'a EcdsaKeyPair,
    extensions: Vec<Extension>,
}

impl Authority {
    fn generate(common_name: &str) -> Result<Self, CertificateError> {
        Ok(Self {
            name: name(common_name)?,
            key: generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
        })
    }

    fn certify(&self, subject: Subject<'_>, period: Period) -> Result<Vec<u8>, CertificateError> {
        let spki = ec_spki(subject.key)?;
        let mut extensions = vec![
            authority_key_identifier(&ec_spki(&self.key)?)?,
            subject_key_identifier(&spki)?,
        ];
        extensions.extend(subject.extensions);
        let certificate = TbsCertificate {
            version: VERSION_3,
            serial_number: SerialNumber::new(&[subject.serial])?,
            signature: ecdsa_sha256(),
            issuer: self.name.clone(),
            validity: period.validity()?,
            subject: subject.name.clone(),
            subject_public_key_info: spki,
            extensions,
        };
        self.sign(&certificate.to_der()?)
    }

    /// A revocation list on which nothing is.
    fn revoke_nothing(&self, period: Period) -> Result<Vec<u8>, CertificateError> {
        let list = TbsRevocationList {
            version: VERSION_2,
            signature: ecdsa_sha256(),
            issuer: self.name.clone(),
            this_update: x509::time(period.start)?,
            next_update: x509::time(period.end)?,
            extensions: vec![
                extension(CRL_NUMBER, false, 1_u8.to_der()?)?,
                authority_key_identifier(&ec_spki(&self.key)?)?,
            ],
        };
        self.sign(&list.to_der()?)
    }

    fn sign(&self, contents: &[u8]) -> Result<Vec<u8>, CertificateError> {
        x509::sign(contents, ecdsa_sha256(), |contents| {
            let signature = self.key.sign(&SystemRandom::new(), contents);
            let signature = signature.map_err(|_| CertificateError::Signing)?;
            Ok(signature.as_ref().to_vec())
        })
    }
}

/// TBSCertList (RFC 5280, 5.1.2) of a list without entries.
#[derive(Sequence)]
struct TbsRevocationList {
    version: u8,
    signature: AlgorithmIdentifierOwned,
    issuer: RdnSequence,
    this_update: Time,
    next_update: Time,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// Value of the version field of a revocation list with extensions.
const VERSION_2: u8 = 1;

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// ecdsa-with-SHA256 (RFC 5758, 3.2).
fn ecdsa_sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
        parameters: None,
    }
}

/// The SGX extensions (profile, 1.3.5).
const SGX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");

/// One of the SGX extensions, or of the parts of one.
#[derive(Sequence)]
struct Field {
    id: ObjectIdentifier,
    value: Any,
}

fn sgx_extensions(ppid: &[u8; 16]) -> Result<Extension, CertificateError> {
    let tcb = SGX.push_arc(2).map_err(der::Error::from)?;
    let mut versions = Vec::new();
    for (component, arc) in platform::COMPONENTS.iter().zip(1..) {
        versions.push(field(tcb, arc, Any::encode_from(component)?)?);
    }
    versions.push(field(tcb, 17, Any::encode_from(&platform::PCE_SVN)?)?);
    versions.push(field(tcb, 18, octets(&platform::CPU_SVN)?)?);
    // "Standard": the kind of platform that the simulated authority is for.
    let sgx_type = Any::new(Tag::Enumerated, [0])?;
    let fields = vec![
        field(SGX, 1, octets(ppid)?)?,
        field(SGX, 2, Any::encode_from(&versions)?)?,
        field(SGX, 3, octets(&platform::PCE_ID)?)?,
        field(SGX, 4, octets(&platform::FMSPC)?)?,
        field(SGX, 5, sgx_type)?,
    ];
    extension(SGX, false, fields.to_der()?)
}

fn field(parent: ObjectIdentifier, arc: u32, value: Any) -> Result<Field, CertificateError> {
    let id = parent.push_arc(arc).map_err(der::Error::from)?;
    Ok(Field { id, value })
}

fn octets(bytes: &[u8]) -> Result<Any, CertificateError> {
    Ok(Any::new(Tag::OctetString, bytes)?)
}
