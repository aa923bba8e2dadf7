//! How certificates and revocation lists are signed.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_3072_8192_SHA384,
    RSA_PSS_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::{
    der::{
        self, Decode, SliceReader, TagNumber,
        asn1::{AnyRef, ContextSpecific, ObjectIdentifier},
    },
    spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef},
};

use super::{Certificate, CertificateError, SECP256R1, SECP384R1};

/// Length of a SHA-384 digest, which is also the salt length of AMD's signatures.
const SHA384_BYTES: u8 = 48;

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const PKCS1_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const PKCS1_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const PKCS1_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// A signature scheme, with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, under a key of
    /// 4096 bits: AMD's.
    RsaPss,
    /// RSASSA-PKCS1-v1_5 with SHA-384, under a key of 3072 bits or more: Microsoft's.
    RsaPkcs1,
    /// RSASSA-PKCS1-v1_5 with SHA-256, under a key of 2048 bits or more: of IBM's chains, as are
    /// the following.
    RsaPkcs1Sha256,
    /// The same with SHA-384.
    RsaPkcs1Sha384,
    /// The same with SHA-512.
    RsaPkcs1Sha512,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
}

/// The schemes that one vendor uses; no other is accepted in its chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// AMD: RSASSA-PSS alone.
    RsaPss,
    /// Microsoft's supply chain: RSASSA-PKCS1-v1_5 alone.
    RsaPkcs1,
    /// IBM, and the public authorities above it: RSASSA-PKCS1-v1_5 with SHA-2.
    Ibm,
    /// Intel, AWS, NVIDIA: ECDSA alone.
    Ecdsa,
}

impl Vendor {
    /// The scheme named by `algorithm` when it is one of this vendor's.
    pub(super) fn find(
        self,
        algorithm: &AlgorithmIdentifierOwned,
    ) -> Result<Scheme, CertificateError> {
        let absent = algorithm.parameters.is_none();
        let null = algorithm
            .parameters
            .as_ref()
            .is_some_and(|any| any.is_null());
        match (self, algorithm.oid) {
            (Self::RsaPss, _) if is_rsa_pss_sha384(algorithm) => Ok(Scheme::RsaPss),
            (Self::RsaPss, _) => Err(CertificateError::SignatureAlgorithm),
            // Parameters must be null (RFC 4055, section 5).
            (Self::RsaPkcs1, PKCS1_SHA384) if null => Ok(Scheme::RsaPkcs1),
            (Self::RsaPkcs1, _) => Err(CertificateError::Pkcs1Algorithm),
            (Self::Ibm, PKCS1_SHA256) if null => Ok(Scheme::RsaPkcs1Sha256),
            (Self::Ibm, PKCS1_SHA384) if null => Ok(Scheme::RsaPkcs1Sha384),
            (Self::Ibm, PKCS1_SHA512) if null => Ok(Scheme::RsaPkcs1Sha512),
            (Self::Ibm, _) => Err(CertificateError::Pkcs1Sha2Algorithm),
            // Parameters must be absent (RFC 5758, section 3.2).
            (Self::Ecdsa, ECDSA_SHA256) if absent => Ok(Scheme::EcdsaP256),
            (Self::Ecdsa, ECDSA_SHA384) if absent => Ok(Scheme::EcdsaP384),
            (Self::Ecdsa, _) => Err(CertificateError::EcdsaAlgorithm),
        }
    }
}

impl Scheme {
    /// Checks that `issuer` made `signature` over `signed`.
    pub(super) fn verify(
        self,
        issuer: &Certificate<'_>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let (key, algorithm): (_, &'static dyn VerificationAlgorithm) = match self {
            Self::RsaPss => (issuer.rsa_4096_key(), &RSA_PSS_2048_8192_SHA384),
            Self::RsaPkcs1 => (issuer.rsa_key(), &RSA_PKCS1_3072_8192_SHA384),
            Self::RsaPkcs1Sha256 => (issuer.rsa_key(), &RSA_PKCS1_2048_8192_SHA256),
            Self::RsaPkcs1Sha384 => (issuer.rsa_key(), &RSA_PKCS1_2048_8192_SHA384),
            Self::RsaPkcs1Sha512 => (issuer.rsa_key(), &RSA_PKCS1_2048_8192_SHA512),
            Self::EcdsaP256 => (issuer.key_on(SECP256R1), &ECDSA_P256_SHA256_ASN1),
            Self::EcdsaP384 => (issuer.key_on(SECP384R1), &ECDSA_P384_SHA384_ASN1),
        };
        let key = key.ok_or(match self {
            Self::EcdsaP256 | Self::EcdsaP384 => CertificateError::IssuerCurve,
            Self::RsaPss => CertificateError::IssuerKey,
            Self::RsaPkcs1 | Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => {
                CertificateError::IssuerNotRsa
            }
        })?;
        UnparsedPublicKey::new(algorithm, key)
            .verify(signed, signature)
            .map_err(|_| CertificateError::Signature)
    }
}

/// Whether an algorithm is RSASSA-PSS exactly as AMD uses it (RFC 4055, section 3.1).
fn is_rsa_pss_sha384(algorithm: &AlgorithmIdentifierOwned) -> bool {
    let parameters = algorithm.parameters.as_ref().map(|any| any.to_ref());
    algorithm.oid == RSASSA_PSS
        && parameters.is_some_and(|any| is_pss_sha384_parameters(any).unwrap_or(false))
}

fn is_pss_sha384_parameters(parameters: AnyRef<'_>) -> der::Result<bool> {
    parameters.sequence(|reader| {
        let hash = field::<AlgorithmIdentifierRef<'_>>(reader, 0)?;
        let mask = field::<AlgorithmIdentifierRef<'_>>(reader, 1)?;
        let salt_bytes = field::<u8>(reader, 2)?;
        // Some of AMD's certificates spell the default out, which DER forbids.
        let trailer = field::<u8>(reader, 3)?;
        let mask_hash = match mask {
            Some(mask) if mask.oid == MGF1 => mask.parameters,
            _ => None,
        };
        Ok(hash.is_some_and(is_sha384)
            && mask_hash.is_some_and(|hash| hash.decode_as().is_ok_and(is_sha384))
            && salt_bytes == Some(SHA384_BYTES)
            && matches!(trailer, None | Some(1)))
    })
}

fn field<'a, T>(reader: &mut SliceReader<'a>, number: u32) -> der::Result<Option<T>>
where
    T: Decode<'a, Error = der::Error>,
{
    Ok(ContextSpecific::<T>::decode_explicit(reader, TagNumber(number))?.map(|field| field.value))
}

fn is_sha384(algorithm: AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.oid == SHA384
        && algorithm
            .parameters
            .is_none_or(|parameters| parameters.is_null())
}
