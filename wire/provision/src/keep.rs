//! The Keep's side: make keys, offer them, open one grant.

use enarx_wire_cbor::{DecodeError, EncodeError};
use enarx_wire_target::CompileTarget;
use hpke::rand_core::CryptoRng;

use crate::{
    Claims, Digest, Grant, KemKey, MAX_GRANT_SIZE, Nonce, Offer, REPORT_DATA_SIZE, SessionSecret,
    Suite, VERSION,
    claims::{report_data, transcript},
    owner::SealedGrant,
    suite::SecretKey,
};

/// What the Keep knows of itself from its measured launch page and its CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepDescription {
    /// The kind of Keep, as `wire/launch` names it.
    pub platform: String,
    /// The format of its evidence, as `wire/launch` names it.
    pub evidence: String,
    /// SHA-384 of the runtime.
    pub runtime: Digest,
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// For what its runtime loads compiled code.
    pub target: CompileTarget,
}

/// A fresh key pair for each suite, whose secret halves open one grant.
pub struct SingleUseKeys {
    secret: Vec<SecretKey>,
    public: Vec<KemKey>,
}

impl SingleUseKeys {
    /// Makes them from `random` (the CPU's generator).
    #[must_use]
    pub fn generate(random: &mut impl CryptoRng) -> Self {
        let (secret, public) = Suite::ALL
            .into_iter()
            .map(|suite| {
                let (secret, public) = suite.generate(random);
                (secret, KemKey { suite, public })
            })
            .unzip();
        Self { secret, public }
    }
}

/// A Keep that has been challenged and has made its single-use keys, and needs
/// evidence over its claims.
pub struct Attester {
    nonce: Nonce,
    claims: Vec<u8>,
    keys: Vec<SecretKey>,
}

impl Attester {
    /// Makes claims over `keys` and the owner's `nonce`.
    ///
    /// # Errors
    ///
    /// When the claims cannot be encoded, which does not happen for a description
    /// that `wire/launch` and `wire/target` made.
    pub fn new(
        description: KeepDescription,
        nonce: Nonce,
        keys: SingleUseKeys,
    ) -> Result<Self, EncodeError> {
        let claims = enarx_wire_cbor::to_vec(&Claims {
            version: VERSION,
            platform: description.platform,
            evidence: description.evidence,
            runtime: description.runtime,
            memory_bytes: description.memory_bytes,
            target: description.target,
            nonce,
            keys: keys.public,
        })?;
        Ok(Self {
            nonce,
            claims,
            keys: keys.secret,
        })
    }

    /// What the TEE must put into its evidence.
    #[must_use]
    pub fn report_data(&self) -> [u8; REPORT_DATA_SIZE] {
        report_data(&self.claims)
    }

    /// Takes the TEE's evidence over [`Attester::report_data`].
    #[must_use]
    pub fn offer(self, evidence: Vec<u8>) -> KeepOffer {
        KeepOffer {
            nonce: self.nonce,
            offer: Offer {
                claims: self.claims,
                evidence,
            },
            keys: self.keys,
        }
    }
}

/// A Keep that waits for its one grant.
pub struct KeepOffer {
    nonce: Nonce,
    offer: Offer,
    keys: Vec<SecretKey>,
}

impl KeepOffer {
    /// The offer's bytes, for the owner.
    ///
    /// # Errors
    ///
    /// As [`Attester::new`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        enarx_wire_cbor::to_vec(&self.offer)
    }

    /// Opens the owner's sealed grant. Whatever comes of it, the keys are gone, so
    /// this program does not compile:
    ///
    /// ```compile_fail,E0382
    /// # use enarx_wire_provision::KeepOffer;
    /// fn open_twice(keep: KeepOffer, sealed: &[u8], other: &[u8]) {
    ///     let first = keep.open(sealed);
    ///     let second = keep.open(other);
    /// }
    /// ```
    ///
    /// and without its third line it does:
    ///
    /// ```
    /// # use enarx_wire_provision::KeepOffer;
    /// fn open_once(keep: KeepOffer, sealed: &[u8]) {
    ///     let first = keep.open(sealed);
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the bytes are no grant of this version, or were sealed for
    /// another Keep or another conversation, or altered.
    pub fn open(self, sealed: &[u8]) -> Result<Provisioned, OpenError> {
        let sealed: SealedGrant = enarx_wire_cbor::from_slice(sealed, MAX_GRANT_SIZE)?;
        if sealed.version != VERSION {
            return Err(OpenError::Version(sealed.version));
        }
        let info = transcript(&self.nonce, &self.offer, sealed.suite)?;
        let key = self
            .keys
            .into_iter()
            .find(|key| key.suite() == sealed.suite)
            .ok_or(OpenError::NotForThisKeep)?;
        let (plaintext, session) = key
            .open(&info, &sealed.encapsulated, &sealed.ciphertext)
            .map_err(|_| OpenError::NotForThisKeep)?;
        let grant = Grant::decode(&plaintext)?;
        Ok(Provisioned { grant, session })
    }
}

/// A Keep that was provisioned.
pub struct Provisioned {
    /// The key of the package, and what the package must be.
    pub grant: Grant,
    /// The secret of the session with the owner.
    pub session: SessionSecret,
}

/// Why a sealed grant was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the bytes of a grant.
    #[error("the grant is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// Another version.
    #[error("grant version {0} is not supported; this is version {VERSION}")]
    Version(u32),
    /// Sealed for another Keep or conversation, or altered.
    #[error("the grant was not sealed for this Keep and conversation, or was altered")]
    NotForThisKeep,
    /// The transcript could not be encoded.
    #[error("the conversation cannot be encoded: {0}")]
    Encode(String),
}

impl From<EncodeError> for OpenError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error.to_string())
    }
}
