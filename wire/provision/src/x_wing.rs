//! X-Wing for HPKE: X25519 and ML-KEM-768 together.
//!
//! The mechanism is draft-connolly-cfrg-xwing-kem-10, section 5; its place in HPKE is
//! draft-ietf-hpke-pq-04. ML-KEM and SHA-3 are libcrux's, which are proven to compute what FIPS 203
//! and FIPS 202 say and take a third of the time of those that the `hpke` crate would bring.

use hpke::{Deserializable, HpkeError, Kem, Serializable, kem::SharedSecret, rand_core::CryptoRng};
use hybrid_array::sizes::{U32, U1120, U1216};
use libcrux_ml_kem::mlkem768::{
    self, MlKem768Ciphertext as LatticeCiphertext, MlKem768PrivateKey as LatticeSecretKey,
    MlKem768PublicKey as LatticeKey,
};
use subtle::{Choice, ConstantTimeEq};
use x25519_dalek::{PublicKey as CurvePoint, SharedSecret as CurveSecret, StaticSecret as Scalar};
use zeroize::{Zeroize as _, Zeroizing};

/// The mechanism.
pub(crate) struct XWing;

/// A secret key. What is sent or stored of it is the seed alone.
#[derive(Clone)]
pub(crate) struct PrivateKey {
    seed: Zeroizing<[u8; SEED_SIZE]>,
    lattice: LatticeSecretKey,
    scalar: Scalar,
    public: PublicKey,
}

/// A public key. Its lattice part is a valid one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    lattice: [u8; LatticeKey::len()],
    point: CurvePoint,
}

/// What carries a secret to the holder of a key.
#[derive(Clone)]
pub(crate) struct EncappedKey {
    lattice: [u8; LatticeCiphertext::len()],
    point: CurvePoint,
}

impl Kem for XWing {
    type PublicKey = PublicKey;
    type PrivateKey = PrivateKey;
    type EncappedKey = EncappedKey;
    type NSecret = U32;

    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(secret: &PrivateKey) -> PublicKey {
        secret.public.clone()
    }

    /// The seed is `SHAKE256.LabeledDerive(ikm, "DeriveKeyPair", "", 32)` (draft-ietf-hpke-pq-04,
    /// section 3).
    fn derive_keypair(material: &[u8]) -> (PrivateKey, PublicKey) {
        const LABEL: &[u8] = b"HPKE-v1KEM\x64\x7a\x00\x0dDeriveKeyPair\x00\x20";
        let input = Zeroizing::new([material, LABEL].concat());
        let secret = PrivateKey::expand(Zeroizing::new(libcrux_sha3::shake256(&input)));
        let public = Self::sk_to_pk(&secret);
        (secret, public)
    }

    fn decap(
        secret: &PrivateKey,
        sender: Option<&PublicKey>,
        encapped: &EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::DecapError);
        }
        let ciphertext = LatticeCiphertext::from(encapped.lattice);
        let of_lattice = Zeroizing::new(mlkem768::decapsulate(&secret.lattice, &ciphertext));
        let of_curve = secret.scalar.diffie_hellman(&encapped.point);
        let recipient = &secret.public.point;
        Ok(combine(&of_lattice, &of_curve, &encapped.point, recipient))
    }

    /// The first half of the randomness is ML-KEM's.
    fn encap_with_rng(
        recipient: &PublicKey,
        sender: Option<(&PrivateKey, &PublicKey)>,
        random: &mut impl CryptoRng,
    ) -> Result<(SharedSecret<Self>, EncappedKey), HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let mut randomness = Zeroizing::new([[0; 32]; 2]);
        random.fill_bytes(randomness.as_flattened_mut());
        let lattice_key = LatticeKey::from(recipient.lattice);
        let (ciphertext, of_lattice) = mlkem768::encapsulate(&lattice_key, randomness[0]);
        let of_lattice = Zeroizing::new(of_lattice);
        let scalar = Scalar::from(randomness[1]);
        let encapped = EncappedKey {
            lattice: ciphertext.into(),
            point: CurvePoint::from(&scalar),
        };
        let of_curve = scalar.diffie_hellman(&recipient.point);
        let shared = combine(&of_lattice, &of_curve, &encapped.point, &recipient.point);
        Ok((shared, encapped))
    }
}

/// The combiner of section 5.3.
fn combine(
    of_lattice: &[u8; 32],
    of_curve: &CurveSecret,
    ephemeral: &CurvePoint,
    recipient: &CurvePoint,
) -> SharedSecret<XWing> {
    const LABEL: &[u8] = br"\.//^\";
    let points = [ephemeral, recipient].map(CurvePoint::as_bytes);
    let parts: [&[u8]; _] = [of_lattice, of_curve.as_bytes(), points[0], points[1], LABEL];
    let input = Zeroizing::new(parts.concat());
    SharedSecret(libcrux_sha3::sha256(&input).into())
}

const SEED_SIZE: usize = 32;

impl PrivateKey {
    /// `expandDecapsulationKey` of section 5.2.
    fn expand(seed: Zeroizing<[u8; SEED_SIZE]>) -> Self {
        let expanded = Zeroizing::new(libcrux_sha3::shake256::<96>(&*seed));
        let mut for_lattice = Zeroizing::new([0; 64]);
        let mut for_scalar = Zeroizing::new([0; 32]);
        for_lattice.copy_from_slice(&expanded[..64]);
        for_scalar.copy_from_slice(&expanded[64..]);
        let (lattice, public) = mlkem768::generate_key_pair(*for_lattice).into_parts();
        let scalar = Scalar::from(*for_scalar);
        let public = PublicKey {
            lattice: public.into(),
            point: CurvePoint::from(&scalar),
        };
        Self {
            seed,
            lattice,
            scalar,
            public,
        }
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.lattice[0..].zeroize();
    }
}

impl ConstantTimeEq for PrivateKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.seed.ct_eq(&*other.seed)
    }
}

impl Serializable for PrivateKey {
    type OutputSize = U32;

    fn write_exact(&self, to: &mut [u8]) {
        to.copy_from_slice(&*self.seed);
    }
}

impl Deserializable for PrivateKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let mut seed = Zeroizing::new([0; SEED_SIZE]);
        if bytes.len() != SEED_SIZE {
            return Err(HpkeError::IncorrectInputLength(SEED_SIZE, bytes.len()));
        }
        seed.copy_from_slice(bytes);
        Ok(Self::expand(seed))
    }
}

impl Serializable for PublicKey {
    type OutputSize = U1216;

    fn write_exact(&self, to: &mut [u8]) {
        join(&self.lattice, &self.point, to);
    }
}

impl Deserializable for PublicKey {
    /// FIPS 203, section 7.2 wants the lattice part checked.
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let (lattice, point) = split(bytes)?;
        if !mlkem768::validate_public_key(&LatticeKey::from(lattice)) {
            return Err(HpkeError::ValidationError);
        }
        Ok(Self { lattice, point })
    }
}

impl Serializable for EncappedKey {
    type OutputSize = U1120;

    fn write_exact(&self, to: &mut [u8]) {
        join(&self.lattice, &self.point, to);
    }
}

impl Deserializable for EncappedKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let (lattice, point) = split(bytes)?;
        Ok(Self { lattice, point })
    }
}

/// Writes the lattice's part before the curve's.
fn join(lattice: &[u8], point: &CurvePoint, to: &mut [u8]) {
    let (first, second) = to.split_at_mut(lattice.len());
    first.copy_from_slice(lattice);
    second.copy_from_slice(point.as_bytes());
}

/// The same backwards.
fn split<const LATTICE: usize>(bytes: &[u8]) -> Result<([u8; LATTICE], CurvePoint), HpkeError> {
    const POINT: usize = 32;
    let wrong = || HpkeError::IncorrectInputLength(LATTICE + POINT, bytes.len());
    let (lattice, point) = bytes.split_first_chunk().ok_or_else(wrong)?;
    let point: [u8; POINT] = point.try_into().map_err(|_| wrong())?;
    Ok((*lattice, CurvePoint::from(point)))
}

#[cfg(test)]
mod tests {
    use hpke::kem::XWing as Other;
    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// The numbers after the last one that it gave.
    struct Counter(u8);

    impl TryRng for Counter {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("bytes alone are asked for")
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!("bytes alone are asked for")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for byte in bytes {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counter {}

    #[test]
    fn another_implementation_makes_the_same_of_the_same_randomness() {
        for start in 0..16 {
            let (secret, public) = XWing::gen_keypair_with_rng(&mut Counter(start));
            let (other_secret, other_public) = Other::gen_keypair_with_rng(&mut Counter(start));
            assert_eq!(secret.to_bytes(), other_secret.to_bytes());
            assert_eq!(public.to_bytes(), other_public.to_bytes());

            let again = PrivateKey::from_bytes(&secret.to_bytes()).unwrap();
            assert!(bool::from(again.ct_eq(&secret)));
            let public = PublicKey::from_bytes(&other_public.to_bytes()).unwrap();

            let (shared, encapped) =
                XWing::encap_with_rng(&public, None, &mut Counter(start)).unwrap();
            let (other_shared, other_encapped) =
                Other::encap_with_rng(&other_public, None, &mut Counter(start)).unwrap();
            assert_eq!(encapped.to_bytes(), other_encapped.to_bytes());
            assert_eq!(shared.0, other_shared.0);
            assert_eq!(XWing::decap(&again, None, &encapped).unwrap().0, shared.0);
        }
    }

    #[test]
    fn a_changed_encapsulation_gives_another_secret_and_the_same_one_as_elsewhere() {
        let (secret, public) = XWing::gen_keypair_with_rng(&mut Counter(0));
        let (other_secret, _) = Other::gen_keypair_with_rng(&mut Counter(0));
        let (shared, encapped) = XWing::encap_with_rng(&public, None, &mut Counter(0)).unwrap();
        let mut bytes = encapped.to_bytes();
        for changed in [0, bytes.len() - 33, bytes.len() - 32] {
            bytes[changed] ^= 1;
            let ours = XWing::decap(&secret, None, &EncappedKey::from_bytes(&bytes).unwrap());
            let theirs = Deserializable::from_bytes(&bytes).unwrap();
            let theirs = Other::decap(&other_secret, None, &theirs).unwrap();
            assert_eq!(ours.as_ref().unwrap().0, theirs.0);
            assert_ne!(ours.unwrap().0, shared.0);
            bytes[changed] ^= 1;
        }
    }

    #[test]
    fn keys_of_another_size_or_with_coefficients_over_the_modulus_are_refused() {
        let (_, public) = XWing::gen_keypair_with_rng(&mut Counter(0));
        let mut bytes = public.to_bytes();
        assert!(PublicKey::from_bytes(&bytes[1..]).is_err());
        assert!(EncappedKey::from_bytes(&bytes).is_err());
        assert!(PrivateKey::from_bytes(&bytes).is_err());
        bytes[..2].fill(0xff);
        let refused = PublicKey::from_bytes(&bytes);
        assert!(matches!(refused, Err(HpkeError::ValidationError)));
    }
}
