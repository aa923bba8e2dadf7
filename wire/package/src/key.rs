//! The key of one package.

use hkdf::Hkdf;
use sha2::Sha384;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The 32-byte key that opens one package. Zeroized when dropped; comparing takes
/// constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// Takes 32 uniformly random bytes as a key.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, to seal them for a Keep or to store them for the owner.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the stream of a package with this `salt` is protected with.
    pub(crate) fn derive(&self, salt: &[u8; 32]) -> StreamSecrets {
        let extracted = Hkdf::<Sha384>::new(Some(salt), &self.0);
        let mut secrets = StreamSecrets {
            key: Zeroizing::new([0; 32]),
            nonce_prefix: [0; 7],
            commitment: [0; 32],
        };
        let expand = |label: &[u8], output: &mut [u8]| {
            extracted
                .expand(label, output)
                .expect("HKDF-SHA384 gives up to 12240 bytes");
        };
        expand(b"enarx package v1 key", &mut *secrets.key);
        expand(b"enarx package v1 nonce", &mut secrets.nonce_prefix);
        expand(b"enarx package v1 commitment", &mut secrets.commitment);
        secrets
    }
}

impl PartialEq for ContentKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ContentKey {}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ContentKey(secret)")
    }
}

/// HKDF-SHA384 (RFC 5869) outputs for one stream.
pub(crate) struct StreamSecrets {
    pub(crate) key: Zeroizing<[u8; 32]>,
    pub(crate) nonce_prefix: [u8; 7],
    /// AES-GCM does not commit to its key; this value, stored in the header, does.
    pub(crate) commitment: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        let key = ContentKey::new([0x5a; 32]);
        let shown = format!("{key:?}");
        assert!(!shown.contains("90") && !shown.contains("5a"), "{shown}");
    }

    #[test]
    fn key_and_salt_decide_everything() {
        let commitments = [([1; 32], [1; 32]), ([1; 32], [2; 32]), ([2; 32], [1; 32])]
            .map(|(key, salt)| ContentKey::new(key).derive(&salt).commitment);
        assert_ne!(commitments[0], commitments[1]);
        assert_ne!(commitments[0], commitments[2]);
    }
}
