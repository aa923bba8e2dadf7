//! `COSE_Sign1` (RFC 9052 section 4.2): one signer, payload inside.

use ciborium::Value;

use crate::{
    cbor,
    signature::{SigningError, SigningKey, VerifyingKey},
};

/// Why a `COSE_Sign1` is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// It is not tag 18 with the four parts of a `COSE_Sign1`.
    #[error("it is not a COSE_Sign1 with a payload")]
    Structure,
    /// The protected header cannot be read.
    #[error("the protected header: {0}")]
    Header(cbor::CborError),
    /// The protected header names no algorithm, or another than the key's.
    #[error("the protected header does not name the key's algorithm")]
    Algorithm,
    /// The protected header says that something unknown must be understood.
    #[error("the protected header has critical parameters")]
    Critical,
    /// The key did not sign it.
    #[error("the key did not sign it")]
    Signature,
}

/// What was signed, after verification.
pub(crate) struct Signed {
    /// The protected header.
    pub(crate) header: Vec<(Value, Value)>,
    /// The payload.
    pub(crate) payload: Vec<u8>,
}

const TAG: u64 = 18;
/// Header parameters, RFC 9052 section 3.1.
const ALGORITHM: i64 = 1;
const CRITICAL: i64 = 2;
/// Bytes of a protected header at most.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Signs `payload`; `header` is added to the algorithm in the protected header.
pub(crate) fn sign(
    payload: Vec<u8>,
    mut header: Vec<(i64, Value)>,
    key: &SigningKey,
) -> Result<Value, SigningError> {
    header.push((ALGORITHM, key.algorithm().cose_number().into()));
    let protected = cbor::write(cbor::map(header));
    let signature = key.sign(&to_be_signed(&protected, &payload))?;
    let parts = vec![
        Value::Bytes(protected),
        Value::Map(Vec::new()),
        Value::Bytes(payload),
        Value::Bytes(signature),
    ];
    Ok(cbor::tagged(TAG, Value::Array(parts)))
}

/// Verifies a tagged `COSE_Sign1` with `key`.
pub(crate) fn verify(value: Value, key: &VerifyingKey) -> Result<Signed, CoseError> {
    let Value::Tag(TAG, inner) = value else {
        return Err(CoseError::Structure);
    };
    let parts = inner.into_array().map_err(|_| CoseError::Structure)?;
    let Ok(
        [
            Value::Bytes(protected),
            Value::Map(_),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ],
    ) = <[Value; 4]>::try_from(parts)
    else {
        return Err(CoseError::Structure);
    };
    let header = cbor::read(&protected, MAX_HEADER_BYTES).map_err(CoseError::Header)?;
    let header = header.into_map().map_err(|_| CoseError::Structure)?;
    let algorithm = Value::from(key.algorithm().cose_number());
    if cbor::get(&header, ALGORITHM) != Some(&algorithm) {
        return Err(CoseError::Algorithm);
    }
    if cbor::get(&header, CRITICAL).is_some() {
        return Err(CoseError::Critical);
    }
    if !key.verifies(&to_be_signed(&protected, &payload), &signature) {
        return Err(CoseError::Signature);
    }
    Ok(Signed { header, payload })
}

/// The `Sig_structure` of RFC 9052 section 4.4, without external data.
fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::write(Value::Array(vec![
        "Signature1".into(),
        Value::Bytes(protected.to_vec()),
        Value::Bytes(Vec::new()),
        Value::Bytes(payload.to_vec()),
    ]))
}
