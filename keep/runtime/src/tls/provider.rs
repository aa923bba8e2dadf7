//! The cryptography of TLS.
//!
//! Ciphers, hashes and the checking of signatures are AWS-LC's. All that needs randomness is
//! not: that library takes it from the operating system, which is the host's.

use std::sync::Arc;

use rustls::{
    Error,
    crypto::{
        CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom,
        aws_lc_rs::{self, cipher_suite},
    },
    pki_types::PrivateKeyDer,
    sign::SigningKey,
};
use zeroize::Zeroizing;

use super::{key_exchange, signing::SigningKeyP256};
use crate::entropy;

/// The provider for every connection of this Keep: TLS 1.3 alone.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: key_exchange::GROUPS.to_vec(),
        secure_random: &Cpu,
        key_provider: &Cpu,
        ..aws_lc_rs::default_provider()
    })
}

/// `N` random bytes.
///
/// # Errors
///
/// [`Error::FailedToGetRandomBytes`] when the CPU gives none.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    entropy::fill(&mut *bytes).map_err(|_| Error::FailedToGetRandomBytes)?;
    Ok(bytes)
}

/// Where randomness comes from, and keys that sign without any.
#[derive(Debug)]
struct Cpu;

impl SecureRandom for Cpu {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        entropy::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Cpu {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        SigningKeyP256::load(&key)
            .map(|key| Arc::new(key) as Arc<dyn SigningKey>)
            .ok_or_else(|| Error::General("not a key of ECDSA on P-256".into()))
    }
}
