//! Keys that sign and verify attestation results and reference values, each bound to one
//! algorithm.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// A signature algorithm of JOSE and COSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// A private key. Its memory is cleared by the library that holds it.
pub struct SigningKey(Pair);

enum Pair {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A public key. The algorithm follows from the key, never from what it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    algorithm: SignatureAlgorithm,
    point: Vec<u8>,
}

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is longer than any key.
    #[error("the key is longer than {MAX_KEY_BYTES} bytes")]
    TooLarge,
    /// The text is not one PEM block with the label.
    #[error("the key is not PEM with the label {0:?}")]
    Pem(&'static str),
    /// The key is not on P-256, P-384 or Ed25519, or not encoded as it should be.
    #[error("the key is not a well-formed key on P-256, P-384 or Ed25519")]
    Key,
}

/// Making a signature failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made")]
pub struct SigningError;

/// Bytes of a PEM text at most.
const MAX_KEY_BYTES: usize = 4096;

/// `SubjectPublicKeyInfo` up to the key itself: RFC 5480 section 2 for P-256 and P-384,
/// RFC 8410 section 4 for Ed25519.
const PUBLIC_KEY_FORMS: [(SignatureAlgorithm, &[u8], usize); 3] = [
    (
        SignatureAlgorithm::Es256,
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
        65,
    ),
    (
        SignatureAlgorithm::Es384,
        b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00",
        97,
    ),
    (
        SignatureAlgorithm::EdDsa,
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
        32,
    ),
];

impl SignatureAlgorithm {
    /// The name in a JWS header (RFC 7518 section 3.1, RFC 8037 section 3.1).
    #[must_use]
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The number in a COSE header (RFC 9053 section 2).
    #[must_use]
    pub const fn cose_number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::EdDsa => -8,
        }
    }
}

impl SigningKey {
    /// Reads a PKCS#8 private key in PEM, label `PRIVATE KEY`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it is not such a key on P-256, P-384 or Ed25519.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(&pem(text, "PRIVATE KEY")?)
    }

    /// Reads a PKCS#8 private key in DER.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it is not such a key on P-256, P-384 or Ed25519.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLarge);
        }
        let es256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let es384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der);
        let pair = es256().map(Pair::Es256);
        let pair = pair.or_else(|_| es384().map(Pair::Es384));
        let pair = pair.or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Pair::EdDsa));
        pair.map(Self).map_err(|_| KeyError::Key)
    }

    /// The algorithm that the key signs with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match self.0 {
            Pair::Es256(_) => SignatureAlgorithm::Es256,
            Pair::Es384(_) => SignatureAlgorithm::Es384,
            Pair::EdDsa(_) => SignatureAlgorithm::EdDsa,
        }
    }

    /// The public key.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let point = match &self.0 {
            Pair::Es256(pair) | Pair::Es384(pair) => pair.public_key().as_ref(),
            Pair::EdDsa(pair) => pair.public_key().as_ref(),
        };
        VerifyingKey {
            algorithm: self.algorithm(),
            point: point.to_vec(),
        }
    }

    /// Signs; ECDSA signatures are R and S, one after the other.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Es256(pair) | Pair::Es384(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SigningError),
            Pair::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl VerifyingKey {
    /// Reads a `SubjectPublicKeyInfo` in PEM, label `PUBLIC KEY`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it is not such a key on P-256, P-384 or Ed25519.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_spki_der(&pem(text, "PUBLIC KEY")?)
    }

    /// Reads a `SubjectPublicKeyInfo` in DER; points must be uncompressed.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it is not such a key on P-256, P-384 or Ed25519.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let found = PUBLIC_KEY_FORMS
            .iter()
            .find_map(|(algorithm, front, size)| {
                let point = der.strip_prefix(*front)?;
                (point.len() == *size).then(|| Self {
                    algorithm: *algorithm,
                    point: point.to_vec(),
                })
            });
        found.ok_or(KeyError::Key)
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        let mut forms = PUBLIC_KEY_FORMS.iter();
        let form = forms.find(|(algorithm, ..)| *algorithm == self.algorithm);
        let front = form.map_or(&[][..], |(_, front, _)| front);
        [front, &self.point].concat()
    }

    /// The algorithm that the key verifies with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether the key's owner signed `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            SignatureAlgorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            SignatureAlgorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            SignatureAlgorithm::EdDsa => &signature::ED25519,
        };
        let key = UnparsedPublicKey::new(algorithm, &self.point);
        key.verify(message, signature).is_ok()
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let algorithm = self.algorithm().jose_name();
        formatter
            .debug_tuple("SigningKey")
            .field(&algorithm)
            .finish()
    }
}

/// The bytes of the one PEM block (RFC 7468) that `text` is.
fn pem(text: &str, label: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(KeyError::TooLarge);
    }
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let inside = text.trim().strip_prefix(&begin);
    let inside = inside.and_then(|rest| rest.strip_suffix(&end));
    let inside = inside.ok_or(KeyError::Pem(label))?;
    // Sized at once, so that no part of a secret is left behind by growing.
    let mut compact = Zeroizing::new(Vec::with_capacity(inside.len()));
    compact.extend(inside.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let decoded = STANDARD.decode(&*compact).map(Zeroizing::new);
    decoded.map_err(|_| KeyError::Pem(label))
}
