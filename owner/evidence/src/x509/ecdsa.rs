//! ECDSA signatures of certificates and revocation lists (RFC 5758, section 3.2).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use x509_cert::{der::asn1::ObjectIdentifier, spki::AlgorithmIdentifierOwned};

use super::{Certificate, CertificateError, SECP384R1};

pub(super) const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// A curve with the hash that vendors use with it.
#[derive(Debug, Clone, Copy)]
pub(super) enum EcdsaAlgorithm {
    P256,
    P384,
}

impl EcdsaAlgorithm {
    /// The algorithm so named; its parameters must be absent (RFC 5758, section 3.2).
    pub(super) fn find(algorithm: &AlgorithmIdentifierOwned) -> Option<Self> {
        match algorithm.oid {
            _ if algorithm.parameters.is_some() => None,
            ECDSA_SHA256 => Some(Self::P256),
            ECDSA_SHA384 => Some(Self::P384),
            _ => None,
        }
    }

    /// Checks that `issuer` made `signature` over `signed`.
    pub(super) fn verify(
        self,
        issuer: &Certificate<'_>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let (curve, algorithm): (_, &'static EcdsaVerificationAlgorithm) = match self {
            Self::P256 => (SECP256R1, &ECDSA_P256_SHA256_ASN1),
            Self::P384 => (SECP384R1, &ECDSA_P384_SHA384_ASN1),
        };
        let key = issuer.key_on(curve).ok_or(CertificateError::IssuerCurve)?;
        UnparsedPublicKey::new(algorithm, key)
            .verify(signed, signature)
            .map_err(|_| CertificateError::Signature)
    }
}
