//! The secret that a session's keys come from.

use hkdf::Hkdf;
use sha2::Sha384;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::cipher::FrameCipher;

/// The 32 bytes that owner and Keep exported from HPKE. Zeroized when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret([u8; 32]);

impl SessionSecret {
    /// Restores a secret that the owner stored.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret's bytes, for the owner to store.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The cipher for one direction: HKDF-Expand (RFC 5869 section 2.3) with
    /// SHA-384, from the label and `context`.
    pub(super) fn cipher(&self, label: &str, context: &[u8]) -> FrameCipher {
        let mut output = Zeroizing::new([0; 44]);
        Hkdf::<Sha384>::new(None, &self.0)
            .expand_multi_info(&[label.as_bytes(), b"\0", context], &mut *output)
            .expect("HKDF-SHA384 gives up to 12240 bytes");
        let (key, iv) = output.split_at(32);
        FrameCipher::new(key, iv)
    }
}

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionSecret(secret)")
    }
}
