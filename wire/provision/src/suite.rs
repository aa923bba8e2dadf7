//! The HPKE suites (RFC 9180) in which a grant can be sealed.

use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable,
    aead::{AeadCtxR, AeadCtxS, AesGcm256},
    kdf::HkdfSha384,
    kem::X25519HkdfSha256,
    rand_core::CryptoRng,
    setup_receiver, setup_sender_with_rng,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{SessionSecret, x_wing::XWing};

/// A key encapsulation mechanism, always with HKDF-SHA384 (0x0002) and AES-256-GCM
/// (0x0002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// X-Wing (0x647a): X25519 and ML-KEM-768 together
    /// (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq).
    #[serde(rename = "x-wing")]
    XWing,
    /// DHKEM(X25519, HKDF-SHA256) (0x0020, RFC 9180 section 7.1).
    #[serde(rename = "dhkem-x25519")]
    X25519,
}

impl Suite {
    /// Every suite, the preferred one first.
    pub const ALL: [Self; 2] = [Self::XWing, Self::X25519];

    /// The name in claims and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XWing => "x-wing",
            Self::X25519 => "dhkem-x25519",
        }
    }

    /// The suite of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.as_str() == name)
    }

    /// Makes a key pair: the secret for the Keep, the public key for its claims.
    pub(crate) fn generate(self, random: &mut impl CryptoRng) -> (SecretKey, Vec<u8>) {
        fn pair<K: Kem>(random: &mut impl CryptoRng) -> (K::PrivateKey, Vec<u8>) {
            let (secret, public) = K::gen_keypair_with_rng(random);
            (secret, public.to_bytes().to_vec())
        }
        match self {
            Self::XWing => {
                let (secret, public) = pair::<XWing>(random);
                (SecretKey::XWing(Box::new(secret)), public)
            }
            Self::X25519 => {
                let (secret, public) = pair::<X25519HkdfSha256>(random);
                (SecretKey::X25519(Box::new(secret)), public)
            }
        }
    }

    /// Begins to seal to `public`.
    pub(crate) fn begin(
        self,
        public: &[u8],
        info: &[u8],
        random: &mut impl CryptoRng,
    ) -> Result<Begun, HpkeError> {
        match self {
            Self::XWing => begin::<XWing>(public, info, random, Sender::XWing),
            Self::X25519 => begin::<X25519HkdfSha256>(public, info, random, Sender::X25519),
        }
    }
}

/// What sealing begins with: the part that carries the key, and the session's secret.
pub(crate) struct Begun {
    pub(crate) encapsulated: Vec<u8>,
    pub(crate) session: SessionSecret,
    sender: Sender,
}

/// A sender's context. The types inside zeroize themselves.
enum Sender {
    XWing(Box<Context<XWing>>),
    X25519(Box<Context<X25519HkdfSha256>>),
}

type Context<K> = AeadCtxS<AesGcm256, HkdfSha384, K>;

impl Begun {
    /// Seals `plaintext`.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, HpkeError> {
        match &mut self.sender {
            Sender::XWing(context) => context.seal(plaintext, b""),
            Sender::X25519(context) => context.seal(plaintext, b""),
        }
    }
}

/// The secret half of a Keep's single-use key. The types inside zeroize themselves.
pub(crate) enum SecretKey {
    XWing(Box<<XWing as Kem>::PrivateKey>),
    X25519(Box<<X25519HkdfSha256 as Kem>::PrivateKey>),
}

impl SecretKey {
    pub(crate) const fn suite(&self) -> Suite {
        match self {
            Self::XWing(_) => Suite::XWing,
            Self::X25519(_) => Suite::X25519,
        }
    }

    /// Opens what was sealed to this key. The key is used up.
    pub(crate) fn open(
        self,
        info: &[u8],
        encapsulated: &[u8],
        ciphertext: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, SessionSecret), HpkeError> {
        match self {
            Self::XWing(key) => open::<XWing>(&key, info, encapsulated, ciphertext),
            Self::X25519(key) => open::<X25519HkdfSha256>(&key, info, encapsulated, ciphertext),
        }
    }
}

/// The exporter context (RFC 9180 section 5.3) of the session's secret.
const SESSION_LABEL: &[u8] = b"enarx session v1";

fn begin<K: Kem>(
    public: &[u8],
    info: &[u8],
    random: &mut impl CryptoRng,
    sender: impl FnOnce(Box<Context<K>>) -> Sender,
) -> Result<Begun, HpkeError> {
    let public = K::PublicKey::from_bytes(public)?;
    let (encapsulated, context): (_, Context<K>) =
        setup_sender_with_rng(&OpModeS::Base, &public, info, random)?;
    let mut session = Zeroizing::new([0; 32]);
    context.export(SESSION_LABEL, &mut *session)?;
    Ok(Begun {
        encapsulated: encapsulated.to_bytes().to_vec(),
        session: SessionSecret::new(*session),
        sender: sender(Box::new(context)),
    })
}

fn open<K: Kem>(
    secret: &K::PrivateKey,
    info: &[u8],
    encapsulated: &[u8],
    ciphertext: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, SessionSecret), HpkeError> {
    let encapsulated = K::EncappedKey::from_bytes(encapsulated)?;
    let mut context: AeadCtxR<AesGcm256, HkdfSha384, K> =
        setup_receiver(&OpModeR::Base, secret, &encapsulated, info)?;
    let plaintext = Zeroizing::new(context.open(ciphertext, b"")?);
    let mut session = Zeroizing::new([0; 32]);
    context.export(SESSION_LABEL, &mut *session)?;
    Ok((plaintext, SessionSecret::new(*session)))
}
