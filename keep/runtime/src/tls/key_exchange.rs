//! Key exchange: X25519MLKEM768 and X25519, with the CPU's randomness.
//!
//! The provider's own would take randomness from the operating system, which is the
//! host's. X25519MLKEM768 is as in draft-ietf-tls-ecdhe-mlkem: in shares and in the secret,
//! the part of ML-KEM-768 (FIPS 203) comes before that of X25519 (RFC 7748).

use libcrux_ml_kem::mlkem768::{
    self, MlKem768Ciphertext as Ciphertext, MlKem768PrivateKey as DecapsulationKey,
    MlKem768PublicKey as EncapsulationKey,
};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup},
};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::{Zeroize as _, Zeroizing};

use super::provider::random;

/// The groups, the preferred one first.
pub static GROUPS: [&dyn SupportedKxGroup; 2] = [&Hybrid, &Classical];

/// X25519 alone, for peers that know nothing else.
#[derive(Debug)]
struct Classical;

impl SupportedKxGroup for Classical {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(ClassicalShare::new()?))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct ClassicalShare {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl ClassicalShare {
    fn new() -> Result<Self, Error> {
        let secret = random::<32>()?;
        let public = x25519(*secret, X25519_BASEPOINT_BYTES);
        Ok(Self { secret, public })
    }

    fn agree(&self, peer: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let peer = peer.try_into().map_err(|_| malformed())?;
        let secret = Zeroizing::new(x25519(*self.secret, peer));
        // RFC 8446, section 7.4.2: a peer must not choose the secret.
        if *secret == [0; 32] {
            return Err(malformed());
        }
        Ok(secret)
    }
}

impl ActiveKeyExchange for ClassicalShare {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(self.agree(peer)?.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// X25519MLKEM768.
#[derive(Debug)]
struct Hybrid;

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = ClassicalShare::new()?;
        let seed = random::<64>()?;
        let (key, public_key) = mlkem768::generate_key_pair(*seed).into_parts();
        let public = [public_key.as_ref(), &classical.public].concat();
        Ok(Box::new(HybridShare {
            key,
            classical,
            public,
        }))
    }

    /// The server's side: only the client has a decapsulation key.
    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (peer_key, peer_public) = split(peer, EncapsulationKey::len())?;
        let peer_key = EncapsulationKey::try_from(peer_key).map_err(|_| malformed())?;
        // FIPS 203, section 7.2.
        if !mlkem768::validate_public_key(&peer_key) {
            return Err(malformed());
        }
        let classical = ClassicalShare::new()?;
        let classical_secret = classical.agree(peer_public)?;
        let (ciphertext, secret) = mlkem768::encapsulate(&peer_key, *random()?);
        let secret = Zeroizing::new(secret);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_ref(), &classical.public].concat(),
            secret: joined(&*secret, &classical_secret),
        })
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

struct HybridShare {
    key: DecapsulationKey,
    classical: ClassicalShare,
    public: Vec<u8>,
}

impl Drop for HybridShare {
    fn drop(&mut self) {
        self.key[0..].zeroize();
    }
}

impl ActiveKeyExchange for HybridShare {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, peer_public) = split(peer, Ciphertext::len())?;
        let ciphertext = Ciphertext::try_from(ciphertext).map_err(|_| malformed())?;
        let classical_secret = self.classical.agree(peer_public)?;
        let secret = Zeroizing::new(mlkem768::decapsulate(&self.key, &ciphertext));
        Ok(joined(&*secret, &classical_secret))
    }

    // A server without ML-KEM need not ask for a share of X25519 alone.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, &self.classical.public))
    }

    fn complete_hybrid_component(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(self.classical.agree(peer)?.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// The two parts of a share whose first has `size` bytes.
fn split(share: &[u8], size: usize) -> Result<(&[u8], &[u8]), Error> {
    share.split_at_checked(size).ok_or_else(malformed)
}

fn joined(first: &[u8], second: &[u8; 32]) -> SharedSecret {
    SharedSecret::from([first, second].concat())
}

fn malformed() -> Error {
    Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::kx_group;

    use super::*;

    /// Both sides get one secret, whoever made the other side.
    fn agree(client: &dyn SupportedKxGroup, server: &dyn SupportedKxGroup) {
        let client = client.start().unwrap();
        let completed = server.start_and_complete(client.pub_key()).unwrap();
        let secret = client.complete(&completed.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), completed.secret.secret_bytes());
    }

    #[test]
    fn another_implementation_agrees() {
        for (own, other) in [
            (GROUPS[0], kx_group::X25519MLKEM768),
            (GROUPS[1], kx_group::X25519),
        ] {
            agree(own, own);
            agree(own, other);
            agree(other, own);
        }
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for group in GROUPS {
            let size = group.start().unwrap().pub_key().len();
            for length in [0, 1, 31, size - 1, size + 1] {
                assert!(group.start_and_complete(&vec![9; length]).is_err());
                assert!(group.start().unwrap().complete(&vec![9; length]).is_err());
            }
            // Of the order one: the secret would be zero.
            let client = group.start().unwrap();
            let mut share = client.pub_key().to_vec();
            let start = share.len() - 32;
            share[start..].fill(0);
            assert!(group.start_and_complete(&share).is_err());
        }
    }
}
