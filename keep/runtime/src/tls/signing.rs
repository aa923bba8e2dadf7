//! Keys that sign: ECDSA on P-256, deterministic (RFC 6979), so that a signature needs no
//! randomness.

use std::fmt;

use p256::{
    SecretKey,
    ecdsa::{DerSignature, SigningKey, signature::Signer as _},
    pkcs8::{DecodePrivateKey as _, EncodePublicKey as _},
};
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer},
    sign,
};

use super::provider::random;

/// A key of ECDSA on P-256. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKeyP256 {
    key: SigningKey,
    /// The public key, in DER.
    public: Vec<u8>,
}

impl SigningKeyP256 {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`Error::FailedToGetRandomBytes`] when the CPU gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        loop {
            // One in 2^32 numbers is none that a key may be.
            if let Some(key) = (SecretKey::from_slice(&*random::<32>()?).ok()).and_then(Self::new) {
                return Ok(key);
            }
        }
    }

    /// The key in PKCS #8 or SEC 1; `None` for one of another kind.
    pub fn load(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let key = match key {
            PrivateKeyDer::Pkcs8(key) => SecretKey::from_pkcs8_der(key.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Sec1(key) => SecretKey::from_sec1_der(key.secret_sec1_der()).ok(),
            _ => None,
        };
        Self::new(key?)
    }

    /// The public key as a `SubjectPublicKeyInfo` in DER.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The signature of `message` with SHA-256, in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(message);
        signature.as_bytes().to_vec()
    }

    fn new(key: SecretKey) -> Option<Self> {
        let public = key.public_key().to_public_key_der().ok()?.into_vec();
        let key = SigningKey::from(key);
        Some(Self { key, public })
    }
}

impl fmt::Debug for SigningKeyP256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKeyP256")
    }
}

impl sign::SigningKey for SigningKeyP256 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        offered
            .contains(&SCHEME)
            .then(|| Box::new(self.clone()) as Box<dyn sign::Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.public()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl sign::Signer for SigningKeyP256 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(Self::sign(self, message))
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
