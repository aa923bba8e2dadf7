//! Keys that sign the identities of SEV-SNP guests.
//!
//! The firmware launches a guest with an identity only if it measures what the identity says, and puts
//! the digest of the key into reports. So owners can demand a signer rather than a measurement, and
//! the signer can be an author of Keep images. Its key must not be on a host.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use enarx_wire_launch::{SnpIdentity, SnpKey, SnpSignature, SnpSignedIdentity};
use rsa::pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use crate::key_file::{self, KeyFileError};

/// A key on P-384 that signs identities.
pub struct IdentityKey {
    pair: EcdsaKeyPair,
}

impl IdentityKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generation`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, IdentityError> {
        EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)
            .map(|pair| Self { pair })
            .map_err(|_| IdentityError::Generation)
    }

    /// Reads a key in PKCS #8 and PEM, such as `openssl genpkey -algorithm EC` writes.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Key`] when it is none on P-384.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| IdentityError::Key)?;
        if label != LABEL {
            return Err(IdentityError::Key);
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, document.as_bytes())
            .map(|pair| Self { pair })
            .map_err(|_| IdentityError::Key)
    }

    /// The key in PKCS #8 and PEM.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Key`] when it cannot be encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, IdentityError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| IdentityError::Key)?;
        let document =
            SecretDocument::try_from(document.as_ref()).map_err(|_| IdentityError::Key)?;
        document
            .to_pem(LABEL, LineEnding::LF)
            .map_err(|_| IdentityError::Key)
    }

    /// Reads a key from a file that its user alone can read.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&key_file::read(path)?)
    }

    /// Writes the key to a new file that its user alone can read.
    ///
    /// # Errors
    ///
    /// [`IdentityError::File`] when the file is there already, or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), IdentityError> {
        Ok(key_file::write_new(path, &self.to_pem()?)?)
    }

    /// Its public half; [`SnpKey::digest`] is what reports call it.
    #[must_use]
    pub fn public(&self) -> SnpKey {
        // An uncompressed point: a byte, and both coordinates.
        let (x, y) = halves(&self.pair.public_key().as_ref()[1..]);
        SnpKey { x, y }
    }

    /// Signs an identity; with `author`, that one vouches for this key.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Signing`] when the cryptographic library refuses.
    pub fn sign(
        &self,
        identity: &SnpIdentity,
        author: Option<&Self>,
    ) -> Result<SnpSignedIdentity, IdentityError> {
        let key = self.public();
        let by_author = |author: &Self| {
            Ok::<_, IdentityError>((author.public(), author.signature(&key.encode())?))
        };
        Ok(SnpSignedIdentity {
            identity: *identity,
            key,
            signature: self.signature(&identity.encode())?,
            author: author.map(by_author).transpose()?,
        })
    }

    fn signature(&self, message: &[u8]) -> Result<SnpSignature, IdentityError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| IdentityError::Signing)?;
        let (r, s) = halves(signature.as_ref());
        Ok(SnpSignature { r, s })
    }
}

impl std::fmt::Debug for IdentityKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("IdentityKey")
            .field("digest", &hex::encode(self.public().digest()))
            .finish_non_exhaustive()
    }
}

/// What went wrong with a key that signs identities.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key could not be made.
    #[error("could not make a key that signs identities; check that getrandom(2) is permitted")]
    Generation,
    /// The file is no key, or one of another kind.
    #[error(
        "not a private key on P-384 in PKCS #8 and PEM; `enarx key generate --platform snp` makes one"
    )]
    Key,
    /// Signing failed.
    #[error("could not sign the identity; the key is damaged")]
    Signing,
    /// The file that keeps the key.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

const LABEL: &str = "PRIVATE KEY";

/// Two numbers of 48 bytes that lie one behind the other.
fn halves(bytes: &[u8]) -> ([u8; 48], [u8; 48]) {
    let (mut first, mut second) = ([0; 48], [0; 48]);
    first.copy_from_slice(&bytes[..48]);
    second.copy_from_slice(&bytes[48..96]);
    (first, second)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_kept_in_files_of_their_user() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id.pem");
        let key = IdentityKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(IdentityKey::read(&path).unwrap().public(), key.public());
        assert!(matches!(
            key.write_new(&path),
            Err(IdentityError::File(KeyFileError::Write { .. }))
        ));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let exposed = IdentityKey::read(&path).unwrap_err();
        assert!(matches!(
            exposed,
            IdentityError::File(KeyFileError::Exposed { mode: 0o640, .. })
        ));
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn other_keys_are_refused() {
        for pem in [
            "",
            "no key",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(matches!(
                IdentityKey::from_pem(pem),
                Err(IdentityError::Key)
            ));
        }
        let other = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = other.unwrap().to_pkcs8v1().unwrap();
        let document = SecretDocument::try_from(document.as_ref()).unwrap();
        let pem = document.to_pem(LABEL, LineEnding::LF).unwrap();
        assert!(matches!(
            IdentityKey::from_pem(&pem),
            Err(IdentityError::Key)
        ));
    }
}
