//! CBOR of others' making: any valid encoding is read, within bounds; what is written is
//! deterministic (RFC 8949 section 4.2.1).

use ciborium::Value;

/// Why bytes were not read as CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than allowed.
    #[error("{actual} bytes are more than {limit}")]
    TooLarge {
        /// How many there are.
        actual: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not CBOR, truncated, or nested too deeply.
    #[error("the bytes are not well-formed CBOR of at most {MAX_DEPTH} levels")]
    Malformed,
    /// Bytes follow the item.
    #[error("{0} bytes follow the end of the CBOR item")]
    Trailing(usize),
    /// A map has a key twice, so that readers could disagree about it.
    #[error("a CBOR map has a key twice")]
    DuplicateKey,
}

/// Levels of nesting at most.
const MAX_DEPTH: usize = 32;

/// Reads the one item that `bytes` are, of at most `limit` bytes.
pub(crate) fn read(bytes: &[u8], limit: usize) -> Result<Value, CborError> {
    if bytes.len() > limit {
        let actual = bytes.len();
        return Err(CborError::TooLarge { actual, limit });
    }
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
        .map_err(|_| CborError::Malformed)?;
    if !rest.is_empty() {
        return Err(CborError::Trailing(rest.len()));
    }
    refuse_duplicates(&value)?;
    Ok(value)
}

/// Writes `value`, with the keys of every map in order.
pub(crate) fn write(value: Value) -> Vec<u8> {
    encode(&sorted(value))
}

/// The value of an integer key.
pub(crate) fn get(map: &[(Value, Value)], key: i64) -> Option<&Value> {
    let key = Value::from(key);
    map.iter()
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// A map with integer keys.
pub(crate) fn map(entries: Vec<(i64, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Map(entries.map(|(key, value)| (key.into(), value)).collect())
}

/// A natural number of at most 64 bits.
pub(crate) fn unsigned(value: &Value) -> Option<u64> {
    value
        .as_integer()
        .and_then(|number| u64::try_from(number).ok())
}

/// A tagged item.
pub(crate) fn tagged(tag: u64, value: Value) -> Value {
    Value::Tag(tag, Box::new(value))
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok(), "a value can be written to memory");
    bytes
}

fn refuse_duplicates(value: &Value) -> Result<(), CborError> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_duplicates),
        Value::Tag(_, inner) => refuse_duplicates(inner),
        Value::Map(entries) => {
            let mut keys: Vec<_> = entries.iter().map(|(key, _)| encode(key)).collect();
            keys.sort_unstable();
            let mut neighbours = keys.iter().zip(keys.iter().skip(1));
            if neighbours.any(|(one, other)| one == other) {
                return Err(CborError::DuplicateKey);
            }
            entries.iter().try_for_each(|(key, value)| {
                refuse_duplicates(key)?;
                refuse_duplicates(value)
            })
        }
        _ => Ok(()),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Tag(tag, inner) => tagged(tag, sorted(*inner)),
        Value::Map(entries) => {
            let entries = entries.into_iter();
            let mut entries: Vec<_> = entries
                .map(|(key, value)| (sorted(key), sorted(value)))
                .collect();
            entries.sort_by_cached_key(|(key, _)| encode(key));
            Value::Map(entries)
        }
        other => other,
    }
}
