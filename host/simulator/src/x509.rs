//! What the certificates of all simulated TEEs have in common (RFC 5280).

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair};
use der::asn1::{Any, BitString, ObjectIdentifier, OctetString, PrintableStringRef, Utf8StringRef};
use der::{DateTime, Decode, Encode, Sequence};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::{Time, Validity};

/// Why certificates could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The cryptographic library could not make a key.
    #[error("could not generate a key")]
    KeyGeneration,
    /// The cryptographic library refused to sign.
    #[error("could not sign a certificate")]
    Signing,
    /// The system's clock is outside what a certificate can express.
    #[error("the system clock is outside the years 1970 to 9999; set it")]
    Clock,
    /// A structure could not be encoded.
    #[error("could not encode a certificate: {0}")]
    Encoding(#[from] der::Error),
}

/// Value of an X.509 version 3 certificate's version field.
pub(crate) const VERSION_3: u8 = 2;

/// TBSCertificate (RFC 5280, 4.1.2), without the parts that are never used.
#[derive(Sequence)]
pub(crate) struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub version: u8,
    pub serial_number: SerialNumber,
    pub signature: AlgorithmIdentifierOwned,
    pub issuer: RdnSequence,
    pub validity: Validity,
    pub subject: RdnSequence,
    pub subject_public_key_info: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    pub extensions: Vec<Extension>,
}

/// A certificate or a revocation list (RFC 5280, 4.1 and 5.1): both are three parts.
#[derive(Sequence)]
struct Signed {
    contents: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Signs a certificate or a revocation list, given without its signature in DER, with
/// `algorithm`.
pub(crate) fn sign(
    contents: &[u8],
    algorithm: AlgorithmIdentifierOwned,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, CertificateError>,
) -> Result<Vec<u8>, CertificateError> {
    let signed = Signed {
        contents: Any::from_der(contents)?,
        algorithm,
        signature: BitString::from_bytes(&sign(contents)?)?,
    };
    Ok(signed.to_der()?)
}

/// Nothing is ever reissued, so all that is issued lives as long as the vendors' roots.
const LIFETIME: Duration = Duration::from_secs(25 * 365 * 24 * 60 * 60);

/// Certificates start this much in the past, for verifiers whose clocks lag.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// When something that is issued holds.
#[derive(Clone, Copy)]
pub(crate) struct Period {
    pub start: DateTime,
    pub end: DateTime,
}

impl Period {
    /// For what is issued at the time `now`.
    pub(crate) fn from(now: SystemTime) -> Result<Self, CertificateError> {
        let date = |moment: Option<SystemTime>| {
            let since_epoch = moment
                .and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok())
                .ok_or(CertificateError::Clock)?;
            DateTime::from_unix_duration(since_epoch).map_err(|_| CertificateError::Clock)
        };
        Ok(Self {
            start: date(now.checked_sub(CLOCK_TOLERANCE))?,
            end: date(now.checked_add(LIFETIME))?,
        })
    }

    pub(crate) fn validity(self) -> Result<Validity, CertificateError> {
        Ok(Validity::new(time(self.start)?, time(self.end)?))
    }
}

/// RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050.
pub(crate) fn time(date: DateTime) -> Result<Time, CertificateError> {
    Ok(if date.year() < 2050 {
        Time::UtcTime(date.try_into()?)
    } else {
        Time::GeneralTime(date.into())
    })
}

/// A distinguished name with a vendor's attributes and values that are none.
pub(crate) fn name(common_name: &str) -> Result<RdnSequence, CertificateError> {
    let utf8 = |value| Any::encode_from(&Utf8StringRef::new(value)?);
    // In the order of AMD's certificates.
    let attributes = [
        ("2.5.4.11", utf8("Simulation, protects nothing")?),
        (
            "2.5.4.6",
            Any::encode_from(&PrintableStringRef::new("ZZ")?)?,
        ),
        ("2.5.4.7", utf8("None")?),
        ("2.5.4.8", utf8("None")?),
        ("2.5.4.10", utf8("Enarx")?),
        ("2.5.4.3", utf8(common_name)?),
    ];
    let mut sequence = RdnSequence::default();
    for (oid, value) in attributes {
        let mut part = RelativeDistinguishedName::default();
        part.insert(AttributeTypeAndValue {
            oid: ObjectIdentifier::new_unwrap(oid),
            value,
        })?;
        sequence.push(part);
    }
    Ok(sequence)
}

pub(crate) fn key_usage(
    usages: impl Into<der::flagset::FlagSet<KeyUsages>>,
) -> Result<Extension, CertificateError> {
    let value = KeyUsage(usages.into()).to_der()?;
    extension(ObjectIdentifier::new_unwrap("2.5.29.15"), true, value)
}

/// The basic constraints of an authority.
pub(crate) fn authority(path_length: Option<u8>) -> Result<Extension, CertificateError> {
    basic_constraints(BasicConstraints {
        ca: true,
        path_len_constraint: path_length,
    })
}

/// The basic constraints of what is no authority.
pub(crate) fn end_entity() -> Result<Extension, CertificateError> {
    basic_constraints(BasicConstraints {
        ca: false,
        path_len_constraint: None,
    })
}

fn basic_constraints(value: BasicConstraints) -> Result<Extension, CertificateError> {
    extension(
        ObjectIdentifier::new_unwrap("2.5.29.19"),
        true,
        value.to_der()?,
    )
}

pub(crate) fn subject_key_identifier(spki: &Any) -> Result<Extension, CertificateError> {
    let value = SubjectKeyIdentifier(OctetString::new(key_identifier(spki)?)?);
    extension(
        ObjectIdentifier::new_unwrap("2.5.29.14"),
        false,
        value.to_der()?,
    )
}

pub(crate) fn authority_key_identifier(issuer_spki: &Any) -> Result<Extension, CertificateError> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_identifier(issuer_spki)?)?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(
        ObjectIdentifier::new_unwrap("2.5.29.35"),
        false,
        value.to_der()?,
    )
}

/// Identifier of a key: the first 160 bits of the SHA-256 of its
/// SubjectPublicKeyInfo (RFC 7093, 2, in the spirit of method 1).
fn key_identifier(spki: &Any) -> Result<Vec<u8>, CertificateError> {
    let digest = digest::digest(&digest::SHA256, &spki.to_der()?);
    Ok(digest.as_ref()[..20].to_vec())
}

pub(crate) fn extension(
    oid: ObjectIdentifier,
    critical: bool,
    value: Vec<u8>,
) -> Result<Extension, CertificateError> {
    Ok(Extension {
        extn_id: oid,
        critical,
        extn_value: OctetString::new(value)?,
    })
}

/// The SubjectPublicKeyInfo of an EC key.
pub(crate) fn ec_spki(key: &EcdsaKeyPair) -> Result<Any, CertificateError> {
    let document = AsDer::<PublicKeyX509Der>::as_der(key.public_key())
        .map_err(|_| CertificateError::KeyGeneration)?;
    Ok(Any::from_der(document.as_ref())?)
}
