//! `COSE_Sign1` messages (RFC 9052, section 4.2), as attestation documents use them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    RSA_PSS_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};
use ciborium::Value;

/// Largest message looked at; AWS's have at most 16 KiB, Arm's are smaller. Parsed, it takes
/// many times the memory.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Most entries of a map: to look for a key twice takes the square of their number.
const MAX_ENTRIES: usize = 256;
/// The CBOR tag of a `COSE_Sign1` message.
const TAG: u64 = 18;
/// The header parameter `alg`.
const ALGORITHM: i64 = 1;
/// The header parameter `crit`.
const CRITICAL: i64 = 2;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// It is longer than any attestation document.
    #[error("has {0} bytes, more than {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// It is not CBOR of the expected shape.
    #[error("is not a well-formed COSE_Sign1 message")]
    Malformed,
    /// A map has a key twice.
    #[error("has a map with the same key twice")]
    DuplicateKey,
    /// It is signed with another algorithm than ECDSA on P-256, P-384 or P-521, or
    /// RSASSA-PSS with SHA-384.
    #[error("is not signed with ES256, ES384, ES512 or PS384")]
    Algorithm,
    /// It has a critical header parameter that nobody here understands.
    #[error("has a critical header parameter that is not understood")]
    Critical,
    /// The key is on another curve than the algorithm goes with.
    #[error("is signed with an algorithm that does not go with the key")]
    Curve,
    /// The signature is not the key's.
    #[error("was not signed by the expected key")]
    Signature,
}

/// A signature algorithm: ECDSA (RFC 9053, section 2.1), used with the curve that goes with
/// it, or RSASSA-PSS (RFC 8230, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Es384,
    Es512,
    Ps384,
}

impl Algorithm {
    fn find(number: i128) -> Option<Self> {
        match number {
            -7 => Some(Self::Es256),
            -35 => Some(Self::Es384),
            -36 => Some(Self::Es512),
            -38 => Some(Self::Ps384),
            _ => None,
        }
    }

    /// Whether a key can be one of this algorithm: an uncompressed point of its curve (SEC 1,
    /// section 2.3.3), or an `RSAPublicKey`, which is a DER sequence.
    fn goes_with(self, key: &[u8]) -> bool {
        match self {
            Self::Es256 => key.len() == 65,
            Self::Es384 => key.len() == 97,
            Self::Es512 => key.len() == 133,
            Self::Ps384 => key.first() == Some(&0x30),
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
        }
    }
}

/// A message that was read; its signature is not verified yet.
#[derive(Debug, Clone)]
pub(crate) struct Sign1 {
    protected: Vec<u8>,
    header: Map,
    algorithm: Algorithm,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Sign1 {
    /// Reads a message, tagged or not, with nothing behind it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let message = match read(bytes)? {
            Value::Tag(TAG, message) => *message,
            other => other,
        };
        let Value::Array(parts) = message else {
            return Err(CoseError::Malformed);
        };
        let parts: [Value; 4] = parts.try_into().map_err(|_| CoseError::Malformed)?;
        let [
            Value::Bytes(protected),
            unprotected,
            // A detached payload would be null.
            Value::Bytes(payload),
            Value::Bytes(signature),
        ] = parts
        else {
            return Err(CoseError::Malformed);
        };
        let header = Map::new(read(&protected)?)?;
        // What nobody signed must at least make no demands.
        let others = Map::new(unprotected)?;
        if header.get(CRITICAL).is_some() || others.get(CRITICAL).is_some() {
            return Err(CoseError::Critical);
        }
        let algorithm = header.get(ALGORITHM).and_then(Value::as_integer);
        let algorithm = algorithm.and_then(|number| Algorithm::find(number.into()));
        Ok(Self {
            protected,
            header,
            algorithm: algorithm.ok_or(CoseError::Algorithm)?,
            payload,
            signature,
        })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The protected header.
    pub(crate) fn header(&self) -> &Map {
        &self.header
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks that a key, an uncompressed point or an `RSAPublicKey`, signed the message (RFC
    /// 9052, section 4.4, without external data).
    pub(crate) fn verify(&self, key: &[u8]) -> Result<(), CoseError> {
        if !self.algorithm.goes_with(key) {
            return Err(CoseError::Curve);
        }
        let signed = Value::Array(vec![
            Value::Text("Signature1".to_owned()),
            Value::Bytes(self.protected.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ]);
        let mut encoded = Vec::new();
        ciborium::into_writer(&signed, &mut encoded).map_err(|_| CoseError::Malformed)?;
        UnparsedPublicKey::new(self.algorithm.verification(), key)
            .verify(&encoded, &self.signature)
            .map_err(|_| CoseError::Signature)
    }
}

/// Reads one CBOR item with nothing behind it; ciborium bounds the depth.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, CoseError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(CoseError::TooLarge(bytes.len()));
    }
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).map_err(|_| CoseError::Malformed)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CoseError::Malformed)
    }
}

/// A CBOR map without duplicate keys.
#[derive(Debug, Clone)]
pub(crate) struct Map(Vec<(Value, Value)>);

impl Map {
    pub(crate) fn new(value: Value) -> Result<Self, CoseError> {
        let Value::Map(entries) = value else {
            return Err(CoseError::Malformed);
        };
        if entries.len() > MAX_ENTRIES {
            return Err(CoseError::Malformed);
        }
        let twice = entries.iter().enumerate().any(|(index, (key, _))| {
            let mut later = entries.iter().skip(index + 1);
            later.any(|(other, _)| other == key)
        });
        if twice {
            return Err(CoseError::DuplicateKey);
        }
        Ok(Self(entries))
    }

    /// The value of a key that is a number.
    pub(crate) fn get(&self, key: i64) -> Option<&Value> {
        self.find(&Value::from(key))
    }

    /// The value of a key that is a text.
    pub(crate) fn named(&self, key: &str) -> Option<&Value> {
        let mut entries = self.0.iter();
        entries
            .find(|(name, _)| name.as_text() == Some(key))
            .map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(Value, Value)] {
        &self.0
    }

    fn find(&self, key: &Value) -> Option<&Value> {
        let mut entries = self.0.iter();
        entries
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}
