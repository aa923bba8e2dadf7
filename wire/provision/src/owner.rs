//! The owner's side: challenge, read the offer, and, after appraisal, seal the grant.

use std::fmt;

use enarx_wire_cbor::{DecodeError, EncodeError};
use hkdf::Hkdf;
use hpke::rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteArray;
use sha2::Sha384;
use zeroize::Zeroizing;

use crate::{
    ApplicationSecret, Claims, Digest, MAX_OFFER_SIZE, Nonce, Offer, REPORT_DATA_SIZE,
    SessionSecret, Suite, VERSION,
    claims::{report_data, transcript},
    suite::Begun,
};

/// An owner who is about to ask a Keep for evidence.
#[derive(Debug)]
pub struct Challenge {
    nonce: Nonce,
}

impl Challenge {
    /// A challenge with a fresh random nonce.
    pub fn new(random: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 32];
        random.fill_bytes(&mut nonce);
        Self { nonce }
    }

    /// What the Keep must put into its claims.
    #[must_use]
    pub const fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// Reads the Keep's offer. The challenge is used up: another offer needs another
    /// nonce.
    ///
    /// # Errors
    ///
    /// [`OfferError`] when the bytes are no offer of this version, answer another
    /// challenge, or offer no key or two of one suite.
    pub fn answered(self, offer: &[u8]) -> Result<OwnerOffer, OfferError> {
        let offer: Offer = enarx_wire_cbor::from_slice(offer, MAX_OFFER_SIZE)
            .map_err(OfferError::MalformedOffer)?;
        let claims: Claims = enarx_wire_cbor::from_slice(&offer.claims, MAX_OFFER_SIZE)
            .map_err(OfferError::MalformedClaims)?;
        if claims.version != VERSION {
            return Err(OfferError::Version(claims.version));
        }
        if claims.nonce != self.nonce {
            return Err(OfferError::WrongNonce);
        }
        if claims.keys.is_empty() {
            return Err(OfferError::NoKey);
        }
        for (index, key) in claims.keys.iter().enumerate() {
            if claims.keys[..index]
                .iter()
                .any(|other| other.suite == key.suite)
            {
                return Err(OfferError::RepeatedKey(key.suite.as_str()));
            }
        }
        Ok(OwnerOffer {
            nonce: self.nonce,
            offer,
            claims,
        })
    }
}

/// An offer that answers the owner's challenge. Its claims are *not* to be believed
/// before evidence over [`OwnerOffer::report_data`] was appraised.
#[derive(Debug)]
pub struct OwnerOffer {
    nonce: Nonce,
    offer: Offer,
    claims: Claims,
}

impl OwnerOffer {
    /// What the Keep says of itself.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The evidence, in the format that the claims name.
    #[must_use]
    pub fn evidence(&self) -> &[u8] {
        &self.offer.evidence
    }

    /// The report data that the evidence must hold.
    #[must_use]
    pub fn report_data(&self) -> [u8; REPORT_DATA_SIZE] {
        report_data(&self.offer.claims)
    }

    /// Begins to seal to the Keep's key of `suite`, or of the Keep's preferred suite: all that can be done
    /// without the grant, and so while the evidence is verified.
    ///
    /// # Errors
    ///
    /// [`SealError`] when the Keep has no key for `suite`, or a key that is none.
    pub fn begin(
        &self,
        suite: Option<Suite>,
        random: &mut impl CryptoRng,
    ) -> Result<Sealing, SealError> {
        let key = match suite {
            None => self.claims.keys.first(),
            Some(suite) => self.claims.keys.iter().find(|key| key.suite == suite),
        }
        .ok_or(SealError::NotOffered(
            suite.unwrap_or(Suite::XWing).as_str(),
        ))?;
        let info = transcript(&self.nonce, &self.offer, key.suite)?;
        let begun = key.suite.begin(&key.public, &info, random);
        Ok(Sealing {
            suite: key.suite,
            begun: begun.map_err(|_| SealError::BadKey)?,
        })
    }

    /// Seals `grant` to the Keep's key of `suite`, or of the Keep's preferred suite.
    /// The caller has appraised the evidence. The offer is used up.
    ///
    /// # Errors
    ///
    /// As [`OwnerOffer::begin`].
    pub fn seal(
        self,
        suite: Option<Suite>,
        grant: &Grant,
        random: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, SessionSecret), SealError> {
        self.begin(suite, random)?.seal(grant)
    }
}

/// The beginning of what is sealed to a Keep. Without a grant it is worth nothing to anybody.
pub struct Sealing {
    suite: Suite,
    begun: Begun,
}

impl Sealing {
    /// Seals `grant`. The caller has appraised the evidence of the offer that this began with.
    ///
    /// # Errors
    ///
    /// [`SealError`] when the grant cannot be encoded.
    pub fn seal(mut self, grant: &Grant) -> Result<(Vec<u8>, SessionSecret), SealError> {
        let ciphertext = self.begun.seal(&grant.encode()?);
        let message = enarx_wire_cbor::to_vec(&SealedGrant {
            version: VERSION,
            suite: self.suite,
            encapsulated: self.begun.encapsulated,
            ciphertext: ciphertext.map_err(|_| SealError::BadKey)?,
        })?;
        Ok((message, self.begun.session))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sealing")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// What the owner tells the attested Keep, and nobody else.
pub struct Grant {
    /// The key that opens the package.
    pub content_key: Zeroizing<[u8; 32]>,
    /// SHA-384 of the package's manifest.
    pub manifest_digest: Digest,
    /// The owner's clock in seconds since the Unix epoch; the Keep's clock never
    /// shows an earlier time.
    pub time_floor: u64,
    /// What the program's own keys come from, if its owner has a secret that stays.
    pub application_secret: Option<ApplicationSecret>,
}

impl Grant {
    /// What evidence calls the application once the Keep has it: HKDF-SHA384 (RFC 5869) of the
    /// content key, with the manifest's digest as `info`.
    ///
    /// A host sees evidence. The digest alone would let it try out what a manifest may say of
    /// which it knows all but a secret with few possible values.
    #[must_use]
    pub fn application_identity(&self) -> Digest {
        let extracted = Hkdf::<Sha384>::new(Some(b"enarx application v1"), &*self.content_key);
        let mut identity = [0; size_of::<Digest>()];
        extracted
            .expand(&self.manifest_digest, &mut identity)
            .expect("HKDF-SHA384 gives up to 12240 bytes");
        identity
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
        Ok(Zeroizing::new(enarx_wire_cbor::to_vec(&GrantFields {
            version: VERSION,
            content_key: SecretBytes(self.content_key.clone()),
            manifest_digest: self.manifest_digest,
            time_floor: self.time_floor,
            application_secret: (self.application_secret.as_ref())
                .map(|secret| SecretBytes(Zeroizing::new(*secret.expose()))),
        })?))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields: GrantFields = enarx_wire_cbor::from_slice(bytes, 1024)?;
        if fields.version != VERSION {
            return Err(DecodeError::Malformed(format!(
                "grant version {}",
                fields.version
            )));
        }
        Ok(Self {
            content_key: fields.content_key.0,
            manifest_digest: fields.manifest_digest,
            time_floor: fields.time_floor,
            application_secret: (fields.application_secret)
                .map(|SecretBytes(secret)| ApplicationSecret::new(*secret)),
        })
    }
}

/// A grant as it is encoded, inside the seal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantFields {
    version: u32,
    content_key: SecretBytes,
    #[serde(with = "serde_bytes")]
    manifest_digest: Digest,
    time_floor: u64,
    // Or else a field that is missing would be taken for one that is null.
    #[serde(deserialize_with = "Option::deserialize")]
    application_secret: Option<SecretBytes>,
}

/// A secret as a byte string that does not linger.
struct SecretBytes(Zeroizing<[u8; 32]>);

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&*self.0)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteArray::<32>::deserialize(deserializer)?;
        Ok(Self(Zeroizing::new(bytes.into_array())))
    }
}

/// A sealed grant on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedGrant {
    pub(crate) version: u32,
    pub(crate) suite: Suite,
    /// HPKE `enc`.
    #[serde(with = "serde_bytes")]
    pub(crate) encapsulated: Vec<u8>,
    /// HPKE ciphertext of the encoded grant, with empty associated data.
    #[serde(with = "serde_bytes")]
    pub(crate) ciphertext: Vec<u8>,
}

/// Why an offer was refused before its evidence was looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Not the bytes of an offer.
    #[error("the Keep's offer is malformed: {0}")]
    MalformedOffer(DecodeError),
    /// Not the bytes of claims.
    #[error("the Keep's claims are malformed: {0}")]
    MalformedClaims(DecodeError),
    /// Another version.
    #[error("protocol version {0} is not supported; this is version {VERSION}")]
    Version(u32),
    /// The claims hold another nonce: an old offer, or one made for somebody else.
    #[error("the Keep's claims answer another challenge (wrong nonce)")]
    WrongNonce,
    /// There is nothing to seal a grant to.
    #[error("the Keep offers no key")]
    NoKey,
    /// Two keys of one suite: which of them the Keep means is not said.
    #[error("the Keep offers two keys for {0}")]
    RepeatedKey(&'static str),
}

/// Why a grant could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The Keep has no key for this suite.
    #[error("the Keep offers no key for {0}")]
    NotOffered(&'static str),
    /// The Keep's key is not a valid public key.
    #[error("the Keep's public key is invalid")]
    BadKey,
    /// Encoding failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
