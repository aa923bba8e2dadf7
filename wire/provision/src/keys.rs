//! Where the keys come from that a program has again in its next deployment.
//!
//! A content key is as fresh as its deployment. What stays is a secret of the owner's, of
//! which a Keep is given only what belongs to its application.

use hkdf::Hkdf;
use sha2::Sha384;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Digest;

/// 32 random bytes that an owner keeps, and from which the secrets of applications come.
/// Zeroized when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OwnerSecret([u8; 32]);

impl OwnerSecret {
    /// Takes 32 uniformly random bytes as a secret.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret's bytes, for the owner to store.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret of the application `name`, for a Keep that hardware vouches for.
    #[must_use]
    pub fn application(&self, name: &str) -> ApplicationSecret {
        self.derive(b"enarx application secret v1\0", name)
    }

    /// The secret of the application `name`, for a Keep that only a simulator vouches for.
    /// It is another, since the host of such a Keep can read it: what is stored outside of
    /// Keeps in earnest stays closed to whoever has watched a trial.
    #[must_use]
    pub fn simulated_application(&self, name: &str) -> ApplicationSecret {
        self.derive(b"enarx simulated secret v1\0", name)
    }

    fn derive(&self, label: &[u8], name: &str) -> ApplicationSecret {
        let mut secret = ApplicationSecret([0; 32]);
        expand(&self.0, &[label, name.as_bytes()], &mut secret.0);
        secret
    }
}

impl std::fmt::Debug for OwnerSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OwnerSecret(secret)")
    }
}

/// The 32 bytes from which one application's keys come, in the Keep and nowhere else.
/// Zeroized when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ApplicationSecret([u8; 32]);

impl ApplicationSecret {
    /// Takes the secret out of a grant.
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret's bytes, to seal them for a Keep.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for `context` of the application, whatever the version of its program.
    #[must_use]
    pub fn application_key(&self, context: &[u8]) -> Zeroizing<[u8; 32]> {
        self.key(&[b"enarx application key v1\0", context])
    }

    /// The key for `context` of this very program of the application: the one whose `.wasm`
    /// has the SHA-384 `program`.
    #[must_use]
    pub fn program_key(&self, program: &Digest, context: &[u8]) -> Zeroizing<[u8; 32]> {
        self.key(&[b"enarx program key v1\0", program, context])
    }

    fn key(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        expand(&self.0, info, &mut key);
        key
    }
}

impl std::fmt::Debug for ApplicationSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApplicationSecret(secret)")
    }
}

/// HKDF-SHA384 (RFC 5869) of `secret` without a salt; `info` is what its parts are together.
fn expand(secret: &[u8; 32], info: &[&[u8]], output: &mut [u8; 32]) {
    Hkdf::<Sha384>::new(None, secret)
        .expand_multi_info(info, output)
        .expect("HKDF-SHA384 gives up to 12240 bytes");
}
