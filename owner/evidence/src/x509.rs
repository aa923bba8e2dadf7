//! X.509 as far as vendors' endorsement chains need it.
//!
//! A few certificates that issue each other in a straight line: not a path builder, and
//! nothing is accepted that such a chain does not have. Which signature algorithms are
//! accepted depends on the vendor.

use aws_lc_rs::digest;
use x509_cert::{
    TbsCertificate, Version,
    der::{
        self, Decode, Encode, Reader, SliceReader, Tag,
        asn1::{BitStringRef, ObjectIdentifier, UintRef},
    },
    ext::{
        Extension,
        pkix::{BasicConstraints, KeyUsage},
    },
    name::Name,
    spki::AlgorithmIdentifierOwned,
};

use crate::{Digest, UnixTime, Validity};

mod chain;
mod crl;
mod scheme;

pub(crate) use chain::verify_chain;
pub(crate) use crl::RevocationList;
use scheme::Scheme;
pub(crate) use scheme::Vendor;

/// Largest certificate looked at; real ones have at most 1.7 KiB.
const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;
/// Length of an RSA-4096 modulus.
const RSA_4096_BYTES: usize = 512;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is longer than any that a vendor issues.
    #[error("has {actual} bytes, more than {MAX_CERTIFICATE_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        actual: usize,
    },
    /// It is not a DER-encoded X.509 version 3 certificate.
    #[error("is not a DER-encoded X.509 version 3 certificate")]
    Malformed,
    /// The algorithm inside the signed part is not the one outside (RFC 5280, section 4.1.1.2).
    #[error("names two different signature algorithms")]
    AlgorithmMismatch,
    /// It is not signed with RSASSA-PSS, SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    #[error("is not signed with RSASSA-PSS over SHA-384 with a salt of 48 bytes")]
    SignatureAlgorithm,
    /// It is not signed with ECDSA on P-256 or P-384.
    #[error("is not signed with ECDSA over SHA-256 or SHA-384")]
    EcdsaAlgorithm,
    /// It carries a critical extension that nobody here understands (RFC 5280, section 4.2).
    #[error("has a critical extension that is not understood")]
    CriticalExtension,
    /// An extension occurs twice (RFC 5280, section 4.2).
    #[error("has the same extension twice")]
    DuplicateExtension,
    /// The time is before its validity period.
    #[error("is not valid yet: valid from {not_before}, now {now}")]
    NotYetValid {
        /// First second of validity.
        not_before: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
    /// The time is after its validity period.
    #[error("has expired: valid until {not_after}, now {now}")]
    Expired {
        /// Last second of validity.
        not_after: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
    /// It issues certificates without being a certificate authority's.
    #[error("is not a certificate authority's")]
    NotAuthority,
    /// It is a certificate authority's where a signing key's is due.
    #[error("is a certificate authority's, not a signing key's")]
    UnexpectedAuthority,
    /// An authority below it exceeds its path length (RFC 5280, section 4.2.1.9).
    #[error("does not allow another authority below it")]
    PathLength,
    /// Its issuer's name is not the subject name of the certificate above it.
    #[error("names another issuer than the certificate above it")]
    IssuerName,
    /// It is not signed with RSASSA-PKCS1-v1_5 and SHA-384.
    #[error("is not signed with RSASSA-PKCS1-v1_5 and SHA-384")]
    Pkcs1Algorithm,
    /// It is not signed with RSASSA-PKCS1-v1_5 and one of SHA-2.
    #[error("is not signed with RSASSA-PKCS1-v1_5 and SHA-256, SHA-384 or SHA-512")]
    Pkcs1Sha2Algorithm,
    /// Its issuer's key is not RSA.
    #[error("is signed by a key that is not RSA")]
    IssuerNotRsa,
    /// Its issuer's key is not RSA with 4096 bits.
    #[error("is signed by a key that is not RSA with 4096 bits")]
    IssuerKey,
    /// Its issuer's key is not on the curve that its signature algorithm goes with.
    #[error("is signed by a key on another curve than its algorithm's")]
    IssuerCurve,
    /// Its signature is not the issuer's.
    #[error("was not signed by the certificate above it")]
    Signature,
    /// Its own key is not an elliptic-curve key on P-384.
    #[error("does not hold a P-384 key")]
    SubjectKey,
}

/// A parsed certificate with the bytes that its issuer signed. Not trusted yet.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    signed: &'a [u8],
    signature: &'a [u8],
    scheme: Scheme,
    contents: TbsCertificate,
    constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate signed as `vendor` does, and refuses what no endorsement
    /// chain contains.
    pub(crate) fn parse(der: &'a [u8], vendor: Vendor) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { actual: der.len() });
        }
        let (signed, algorithm, signature) = outer(der).map_err(|_| CertificateError::Malformed)?;
        let contents = TbsCertificate::from_der(signed).map_err(|_| CertificateError::Malformed)?;
        if contents.version() != Version::V3 {
            return Err(CertificateError::Malformed);
        }
        if *contents.signature() != algorithm {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let scheme = vendor.find(&algorithm)?;
        check_extensions(contents.extensions().map_or(&[], Vec::as_slice))?;
        let constraints = extension(&contents, BASIC_CONSTRAINTS)?;
        let key_usage = extension(&contents, KEY_USAGE)?;
        Ok(Self {
            signed,
            signature,
            scheme,
            contents,
            constraints,
            key_usage,
        })
    }

    /// Checks that this certificate may be used as an issuer above `authorities_below`
    /// further authorities (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
    pub(crate) fn check_authority(&self, authorities_below: u8) -> Result<(), CertificateError> {
        let constraints = self
            .constraints
            .as_ref()
            .filter(|constraints| constraints.ca)
            .ok_or(CertificateError::NotAuthority)?;
        if self.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(CertificateError::NotAuthority);
        }
        match constraints.path_len_constraint {
            Some(length) if length < authorities_below => Err(CertificateError::PathLength),
            _ => Ok(()),
        }
    }

    /// Checks that this certificate is no authority's.
    pub(crate) fn check_end_entity(&self) -> Result<(), CertificateError> {
        match &self.constraints {
            Some(constraints) if constraints.ca => Err(CertificateError::UnexpectedAuthority),
            _ => Ok(()),
        }
    }

    /// Checks that `issuer` signed this certificate and is named as its issuer.
    pub(crate) fn check_issued_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        if self.contents.issuer() != issuer.subject() {
            return Err(CertificateError::IssuerName);
        }
        self.check_signed_by(issuer)
    }

    /// Checks that `issuer` signed this certificate, whatever its issuer is named.
    pub(crate) fn check_signed_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        self.scheme.verify(issuer, self.signed, self.signature)
    }

    /// The validity period, when `now` lies in it.
    pub(crate) fn check_validity(&self, now: UnixTime) -> Result<Validity, CertificateError> {
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let not_before = seconds(self.contents.validity().not_before);
        let not_after = seconds(self.contents.validity().not_after);
        if now < not_before {
            Err(CertificateError::NotYetValid { not_before, now })
        } else if not_after < now {
            Err(CertificateError::Expired { not_after, now })
        } else {
            Ok(Validity {
                not_before,
                not_after,
            })
        }
    }

    pub(crate) fn subject(&self) -> &Name {
        self.contents.subject()
    }

    /// The subject's common name, empty when it has none.
    pub(crate) fn common_name(&self) -> String {
        common_name(self.subject())
    }

    /// The issuer's common name, empty when it has none.
    pub(crate) fn issuer_common_name(&self) -> String {
        common_name(self.issuer())
    }

    /// SHA-384 of the `SubjectPublicKeyInfo`.
    pub(crate) fn key_digest(&self) -> Result<Digest, CertificateError> {
        let key = self
            .contents
            .subject_public_key_info()
            .to_der()
            .map_err(|_| CertificateError::Malformed)?;
        let mut sha384 = [0; 48];
        sha384.copy_from_slice(digest::digest(&digest::SHA384, &key).as_ref());
        Ok(sha384)
    }

    /// The value of the extension `id`, as it stands in its octet string.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        find(&self.contents, id).map(|extension| extension.extn_value.as_bytes())
    }

    /// The P-384 point of the subject's key, uncompressed (SEC 1, section 2.3.3).
    pub(crate) fn p384_key(&self) -> Result<&[u8], CertificateError> {
        self.key_on(SECP384R1).ok_or(CertificateError::SubjectKey)
    }

    /// The point of the subject's key when it is on the named curve.
    fn key_on(&self, curve: ObjectIdentifier) -> Option<&[u8]> {
        let info = self.contents.subject_public_key_info();
        let named = info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
        if info.algorithm.oid != EC_PUBLIC_KEY || named != Some(curve) {
            return None;
        }
        info.subject_public_key.as_bytes()
    }

    /// The P-256 point of the subject's key, uncompressed.
    pub(crate) fn p256_key(&self) -> Option<&[u8]> {
        self.key_on(SECP256R1)
    }

    /// The P-521 point of the subject's key, uncompressed.
    pub(crate) fn p521_key(&self) -> Option<&[u8]> {
        self.key_on(SECP521R1)
    }

    pub(crate) fn issuer(&self) -> &Name {
        self.contents.issuer()
    }

    /// The serial number, as its issuer's revocation lists name it.
    fn serial(&self) -> &[u8] {
        self.contents.serial_number().as_bytes()
    }

    /// The `RSAPublicKey` of the subject (RFC 8017, appendix A.1.1).
    pub(crate) fn rsa_key(&self) -> Option<&[u8]> {
        let info = self.contents.subject_public_key_info();
        let key = info.subject_public_key.as_bytes()?;
        (info.algorithm.oid == RSA_ENCRYPTION).then_some(key)
    }

    /// The same, when it has 4096 bits.
    fn rsa_4096_key(&self) -> Option<&[u8]> {
        let key = self.rsa_key()?;
        let modulus = rsa_modulus(key).ok()?;
        let full = modulus.len() == RSA_4096_BYTES && modulus.first()? & 0x80 != 0;
        full.then_some(key)
    }
}

fn common_name(name: &Name) -> String {
    match name.common_name() {
        Ok(Some(name)) => name.value().into_owned(),
        _ => String::new(),
    }
}

/// The three parts of a certificate (RFC 5280, section 4.1), with the signed part as
/// the bytes that were given, so that nothing depends on encoding it again.
fn outer(der: &[u8]) -> der::Result<(&[u8], AlgorithmIdentifierOwned, &[u8])> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|reader| {
        let signed = reader.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierOwned::decode(reader)?;
        let signature = BitStringRef::decode(reader)?;
        let signature = signature
            .as_bytes()
            .ok_or_else(|| Tag::BitString.value_error())?;
        Ok::<_, der::Error>((signed, algorithm, signature))
    })?;
    reader.finish()?;
    Ok(parts)
}

fn check_extensions(extensions: &[Extension]) -> Result<(), CertificateError> {
    for (index, extension) in extensions.iter().enumerate() {
        let understood = [BASIC_CONSTRAINTS, KEY_USAGE].contains(&extension.extn_id);
        if extension.critical && !understood {
            return Err(CertificateError::CriticalExtension);
        }
        let mut later = extensions.iter().skip(index + 1);
        if later.any(|other| other.extn_id == extension.extn_id) {
            return Err(CertificateError::DuplicateExtension);
        }
    }
    Ok(())
}

fn find(contents: &TbsCertificate, id: ObjectIdentifier) -> Option<&Extension> {
    let extensions = contents.extensions()?;
    extensions.iter().find(|extension| extension.extn_id == id)
}

fn extension<'a, T: Decode<'a>>(
    contents: &'a TbsCertificate,
    id: ObjectIdentifier,
) -> Result<Option<T>, CertificateError> {
    find(contents, id)
        .map(|extension| T::from_der(extension.extn_value.as_bytes()))
        .transpose()
        .map_err(|_| CertificateError::Malformed)
}

fn rsa_modulus(key: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(key)?;
    let modulus = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        UintRef::decode(reader)?;
        Ok::<_, der::Error>(modulus.as_bytes())
    })?;
    reader.finish()?;
    Ok(modulus)
}
