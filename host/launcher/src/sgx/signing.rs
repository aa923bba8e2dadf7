//! Keys that sign enclaves, and signing with them.
//!
//! EINIT wants every enclave signed, and the signer's identity, MRSIGNER, is in the enclave's
//! evidence. Two kinds of key are of use:
//!
//! - **A host's launch key.** The launcher makes one for itself and signs what it starts. It
//!   proves nothing: a host can sign anything. Owners look at MRENCLAVE, which says exactly
//!   what runs, and need no signer.
//! - **An author's key.** Whoever publishes Keep images can sign them, and owners who trust
//!   the author can demand that MRSIGNER. It must not be on a host.

use std::path::Path;

use crypto_bigint::ConcatenatingMul as _;
use enarx_wire_launch::sgx::{
    EnclaveStatement, MODULUS_SIZE, MrSigner, Sigstruct, SigstructSignature, mr_signer,
};
use getrandom::SysRng;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::sha2::{Digest as _, Sha256};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey};
use zeroize::Zeroizing;

use crate::key_file::{self, KeyFileError};

/// A key that signs enclaves: RSA of 3072 bits with the public exponent 3.
pub struct SigningKey {
    private: PrivateKey,
}

impl SigningKey {
    /// Makes a key, which takes seconds.
    ///
    /// # Errors
    ///
    /// [`SigningError::Generation`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, SigningError> {
        let exponent = BoxedUint::from(PUBLIC_EXPONENT);
        PrivateKey::new_with_exp(&mut SysRng, BITS, exponent)
            .map(|private| Self { private })
            .map_err(SigningError::Generation)
    }

    /// Reads a key in PKCS #8 and PEM.
    ///
    /// # Errors
    ///
    /// [`SigningError::Key`] when it is none, or [`SigningError::Kind`] when it is of another
    /// kind than enclaves are signed with.
    pub fn from_pem(pem: &str) -> Result<Self, SigningError> {
        let private = PrivateKey::from_pkcs8_pem(pem).map_err(|_| SigningError::Key)?;
        let right = private.n().bit_width_vartime() as usize == BITS
            && *private.e() == BoxedUint::from(PUBLIC_EXPONENT);
        right.then_some(Self { private }).ok_or(SigningError::Kind)
    }

    /// The key in PKCS #8 and PEM.
    ///
    /// # Errors
    ///
    /// [`SigningError::Key`] when it cannot be encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SigningError> {
        let pem = self.private.to_pkcs8_pem(LineEnding::LF);
        pem.map_err(|_| SigningError::Key)
    }

    /// Reads a key from a file that its user alone can read.
    ///
    /// # Errors
    ///
    /// [`SigningError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        Self::from_pem(&key_file::read(path)?)
    }

    /// Writes the key to a new file that its user alone can read.
    ///
    /// # Errors
    ///
    /// [`SigningError::File`] when the file is there already, or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), SigningError> {
        Ok(key_file::write_new(path, &self.to_pem()?)?)
    }

    /// The signer's identity.
    #[must_use]
    pub fn mr_signer(&self) -> MrSigner {
        mr_signer(&little_endian(self.private.n()))
    }

    /// Signs what is said of an enclave.
    ///
    /// # Errors
    ///
    /// [`SigningError::Signing`] when the key is damaged.
    pub fn sign(&self, statement: &EnclaveStatement) -> Result<Sigstruct, SigningError> {
        let digest = Sha256::digest(statement.signed_bytes());
        let signature = self
            .private
            .sign_with_rng(&mut SysRng, Pkcs1v15Sign::new::<Sha256>(), &digest)
            .map_err(SigningError::Signing)?;
        let signature = BoxedUint::from_be_slice(&signature, BITS as u32)
            .map_err(|_| SigningError::Signing(rsa::Error::Internal))?;
        let modulus = self.private.n();
        // The structure wants s³ - q1·s·n divided, which is s times the first remainder.
        let (q1, remainder) = signature
            .concatenating_mul(&signature)
            .div_rem_vartime(modulus);
        let (q2, _) = signature
            .concatenating_mul(&remainder)
            .div_rem_vartime(modulus);
        Ok(statement.assemble(&SigstructSignature {
            modulus: little_endian(modulus),
            signature: little_endian(&signature),
            q1: little_endian(&q1),
            q2: little_endian(&q2),
        }))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("mr_signer", &hex::encode(self.mr_signer()))
            .finish_non_exhaustive()
    }
}

/// What went wrong with a signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key could not be made.
    #[error("could not make a key that signs enclaves: {0}; check that getrandom(2) is permitted")]
    Generation(#[source] rsa::Error),
    /// The file is no key.
    #[error("not a private RSA key in PKCS #8 and PEM; `enarx key generate` makes one")]
    Key,
    /// Enclaves are signed with another kind of key.
    #[error(
        "enclaves are signed with RSA of 3072 bits and the public exponent 3; `enarx key generate` makes such a key"
    )]
    Kind,
    /// Signing failed.
    #[error("could not sign the enclave: {0}; the key is damaged")]
    Signing(#[source] rsa::Error),
    /// The file that keeps the key.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

const BITS: usize = 8 * MODULUS_SIZE;
const PUBLIC_EXPONENT: u64 = 3;

/// A number of at most [`MODULUS_SIZE`] bytes.
fn little_endian(number: &BoxedUint) -> [u8; MODULUS_SIZE] {
    let bytes = number.to_le_bytes();
    let mut all = [0; MODULUS_SIZE];
    let length = bytes.len().min(MODULUS_SIZE);
    all[..length].copy_from_slice(&bytes[..length]);
    all
}

#[cfg(test)]
pub(super) mod test_key {
    //! One key for all tests: to make one takes seconds.

    use std::sync::LazyLock;

    use super::SigningKey;

    pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use aws_lc_rs::digest::{Digest, SHA256};
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::{
        RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    };
    use enarx_wire_launch::sgx::{
        ENCLAVE_ATTRIBUTES, EXTENDED_FEATURES, MISC_SELECT, SIGSTRUCT_SIZE, SigningDate,
    };
    use sgxs::crypto::{Hash, SgxHashOps, SgxRsaOps};
    use sgxs::sigstruct::{AttributesFlags, EnclaveHash, Miscselect, Signer};

    use super::{test_key::KEY, *};

    fn statement() -> EnclaveStatement {
        EnclaveStatement::of_keep([7; 32], false, SigningDate::new(2026, 11, 25).unwrap())
    }

    fn parse(sigstruct: &Sigstruct) -> sgx_isa::Sigstruct {
        sgxs::sigstruct::read(&mut &sigstruct.as_bytes()[..]).unwrap()
    }

    /// Checks with AWS-LC what the crate `rsa` has signed.
    struct PublicKey {
        modulus: Vec<u8>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("refused")]
    struct Refused;

    struct OtherSha256(aws_lc_rs::digest::Context);

    impl SgxHashOps for OtherSha256 {
        fn new() -> Self {
            Self(aws_lc_rs::digest::Context::new(&SHA256))
        }

        fn update(&mut self, data: &[u8]) {
            self.0.update(data);
        }

        fn finish(self) -> Hash {
            self.0.finish().as_ref().try_into().unwrap()
        }
    }

    impl SgxRsaOps for PublicKey {
        type Error = Refused;

        fn len(&self) -> usize {
            BITS
        }

        fn sign_sha256_pkcs1v1_5_with_q1_q2<H: AsRef<[u8]>>(
            &self,
            _: H,
        ) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>), Refused> {
            Err(Refused)
        }

        fn verify_sha256_pkcs1v1_5<S: AsRef<[u8]>, H: AsRef<[u8]>>(
            &self,
            signature: S,
            hash: H,
        ) -> Result<(), Refused> {
            let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
            let key = RsaPublicKeyComponents {
                n: reversed(&self.modulus),
                e: vec![3],
            };
            let digest = Digest::import_less_safe(hash.as_ref(), &SHA256).unwrap();
            let signature = reversed(signature.as_ref());
            let spki: PublicKeyX509Der<'_> = key.as_der().unwrap();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki.as_ref())
                .verify_digest(&digest, &signature)
                .map_err(|_| Refused)
        }

        fn e(&self) -> Vec<u8> {
            vec![3]
        }

        fn n(&self) -> Vec<u8> {
            self.modulus.clone()
        }
    }

    #[test]
    fn another_implementation_signs_the_same_bytes_and_accepts_the_signature() {
        let mut signer = Signer::new(EnclaveHash::new([7; 32]));
        signer
            .date(2026, 11, 25)
            .miscselect(Miscselect::from_bits(MISC_SELECT).unwrap(), u32::MAX)
            .attributes_flags(
                AttributesFlags::from_bits(ENCLAVE_ATTRIBUTES).unwrap(),
                !AttributesFlags::INIT.bits(),
            )
            .attributes_xfrm(EXTENDED_FEATURES, u64::MAX);
        let expected = signer.unsigned_sig();
        let (head, body) = expected.signature_data();
        assert!(statement().signed_bytes() == [head, body].concat()[..]);

        let sigstruct = KEY.sign(&statement()).unwrap();
        let key = PublicKey {
            modulus: sigstruct.modulus().to_vec(),
        };
        let verify = |sigstruct: &Sigstruct| {
            sgxs::sigstruct::verify::<_, OtherSha256>(&parse(sigstruct), &key)
        };
        assert!(verify(&sigstruct).is_ok());
        for offset in [21, 100, 520, 900, 928, 944, 960, 1024, 1026] {
            let mut bytes = *sigstruct.as_bytes();
            bytes[offset] ^= 1;
            let changed = Sigstruct::decode(&bytes).unwrap();
            assert!(verify(&changed).is_err(), "{offset}");
        }
    }

    /// What EINIT computes: with the quotients, the signature to the third power without
    /// a division, which has to be the padded digest.
    #[test]
    fn the_quotients_lead_to_the_padded_digest() {
        let sigstruct = KEY.sign(&statement()).unwrap();
        let bytes = sigstruct.as_bytes();
        assert_eq!(bytes.len(), SIGSTRUCT_SIZE);
        let number = |offset: usize| {
            BoxedUint::from_le_slice(&bytes[offset..][..MODULUS_SIZE], BITS as u32).unwrap()
        };
        let (modulus, signature, q1, q2) = (number(128), number(516), number(1040), number(1424));
        let minus = |left: BoxedUint, right: BoxedUint| {
            assert!(left >= right);
            left.wrapping_sub(&right)
        };
        let first = minus(
            signature.concatenating_mul(&signature),
            q1.concatenating_mul(&modulus),
        );
        assert!(first < modulus);
        let first = BoxedUint::from_le_slice(&little_endian(&first), BITS as u32).unwrap();
        let second = minus(
            signature.concatenating_mul(&first),
            q2.concatenating_mul(&modulus),
        );
        assert!(second < modulus);
        let mut padded = little_endian(&second);
        padded.reverse();
        assert!(padded.ends_with(&Sha256::digest(statement().signed_bytes())));
        assert!(padded.starts_with(&[0, 1, 0xff, 0xff]));
    }

    #[test]
    fn a_key_survives_its_file_which_is_private_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        KEY.write_new(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        assert_eq!(
            SigningKey::read(&path).unwrap().mr_signer(),
            KEY.mr_signer()
        );
        assert!(matches!(
            KEY.write_new(&path),
            Err(SigningError::File(KeyFileError::Write { .. }))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            SigningKey::read(&path),
            Err(SigningError::File(KeyFileError::Exposed {
                mode: 0o640,
                ..
            }))
        ));
        assert!(matches!(
            SigningKey::read(&directory.path().join("none")),
            Err(SigningError::File(KeyFileError::Read { .. }))
        ));
    }

    #[test]
    fn another_kind_of_key_is_refused() {
        let other = PrivateKey::new(&mut SysRng, 1024).unwrap();
        let pem = other.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert!(matches!(
            SigningKey::from_pem(&pem),
            Err(SigningError::Kind)
        ));
        assert!(matches!(
            SigningKey::from_pem("no key"),
            Err(SigningError::Key)
        ));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let shown = format!("{:?}", *KEY);
        assert!(
            shown.contains(&hex::encode(KEY.mr_signer())) && shown.len() < 150,
            "{shown}"
        );
    }
}
