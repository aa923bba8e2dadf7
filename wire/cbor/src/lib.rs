//! Deterministic, bounded CBOR for everything that crosses a trust boundary.
//!
//! One value has one encoding: RFC 8949 section 4.2.1 (core deterministic
//! encoding: shortest integers, definite lengths, map keys in bytewise order of
//! their encodings). [`from_slice`] refuses every other encoding of the same
//! value, so that a digest over the bytes is a digest over the meaning.
//!
//! Structures derive [`serde::Serialize`] and [`serde::Deserialize`] with
//! `deny_unknown_fields`; the order in which they declare their fields does not
//! matter, since [`to_vec`] sorts the keys.
//!
//! Some of these structures hold keys, so the copies that encoding and decoding
//! make on the way are wiped.

use ciborium::value::Value;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::{Zeroize, Zeroizing};

/// Encodes `value` deterministically.
///
/// # Errors
///
/// [`EncodeError`] when the type's own `Serialize` fails, which the types of this
/// project do not.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut value =
        Wiped(Value::serialized(value).map_err(|error| EncodeError(error.to_string()))?);
    sort_keys(&mut value.0)?;
    write(&value.0)
}

/// Decodes a deterministic encoding of at most `limit` bytes.
///
/// # Errors
///
/// [`DecodeError`] says whether the input was too long, was not CBOR of the
/// expected shape (unknown and missing fields included), or encoded its value in
/// another way than [`to_vec`] would.
pub fn from_slice<T: DeserializeOwned + Serialize>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong {
            actual: bytes.len(),
            limit,
        });
    }
    // Depth is bounded by ciborium, which gives up at 256 levels.
    let mut scratch = Zeroizing::new([0; SCRATCH_SIZE]);
    let value: T = ciborium::de::from_reader_with_buffer(bytes, &mut *scratch)
        .map_err(|error| DecodeError::Malformed(bounded(error.to_string())))?;
    // Encoding again is the one check that covers indefinite lengths, long
    // integers, unsorted or repeated keys and bytes after the value.
    let canonical =
        Zeroizing::new(to_vec(&value).map_err(|error| DecodeError::Malformed(error.0))?);
    if canonical.as_slice() != bytes {
        return Err(DecodeError::NotDeterministic);
    }
    Ok(value)
}

/// Why a value could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be encoded as CBOR: {0}")]
pub struct EncodeError(String);

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the structure may have.
    #[error("{actual} bytes of CBOR where at most {limit} are allowed")]
    TooLong {
        /// Bytes received.
        actual: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not CBOR, or not the expected structure; the text names the field.
    #[error("malformed CBOR: {0}")]
    Malformed(String),
    /// The right structure in an encoding that RFC 8949 section 4.2.1 forbids.
    #[error("the CBOR is not deterministically encoded (RFC 8949 section 4.2.1)")]
    NotDeterministic,
}

/// Bytes through which the decoder copies texts and byte strings; longer ones take
/// several steps.
const SCRATCH_SIZE: usize = 4096;

/// How much of a decoder's message is kept: it may quote the input.
const MESSAGE_LIMIT: usize = 200;

fn bounded(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_LIMIT) {
        message.truncate(end);
    }
    message
}

/// Writes into a vector of the right size from the start: one that grows leaves its
/// earlier contents behind.
fn write(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut size = Count(0);
    ciborium::into_writer(value, &mut size).map_err(|error| EncodeError(error.to_string()))?;
    let mut bytes = Vec::with_capacity(size.0);
    ciborium::into_writer(value, &mut bytes).map_err(|error| EncodeError(error.to_string()))?;
    Ok(bytes)
}

/// A sink that only counts.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A value whose texts and byte strings are zeroized when it is dropped.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::Bytes(bytes) => bytes.zeroize(),
        Value::Text(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Map(entries) => entries.iter_mut().for_each(|(key, entry)| {
            wipe(key);
            wipe(entry);
        }),
        Value::Tag(_, inner) => wipe(inner),
        _ => {}
    }
}

fn sort_keys(value: &mut Value) -> Result<(), EncodeError> {
    match value {
        Value::Map(entries) => {
            let mut keyed = Vec::with_capacity(entries.len());
            for (key, mut entry) in entries.drain(..) {
                sort_keys(&mut entry)?;
                keyed.push((write(&key)?, key, entry));
            }
            keyed.sort_by(|left, right| left.0.cmp(&right.0));
            entries.extend(keyed.into_iter().map(|(_, key, entry)| (key, entry)));
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(sort_keys),
        Value::Tag(_, inner) => sort_keys(inner),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        zebra: u32,
        ant: Vec<u8>,
        be: Option<String>,
    }

    fn sample() -> Sample {
        Sample {
            zebra: 7,
            ant: vec![1, 2],
            be: None,
        }
    }

    #[test]
    fn keys_are_sorted_by_their_encoding() {
        let bytes = to_vec(&sample()).unwrap();
        // a3: "be" (shorter first), "ant", "zebra".
        assert_eq!(
            bytes,
            [
                0xa3, 0x62, b'b', b'e', 0xf6, 0x63, b'a', b'n', b't', 0x82, 1, 2, 0x65, b'z', b'e',
                b'b', b'r', b'a', 7
            ]
        );
        assert_eq!(from_slice::<Sample>(&bytes, 64).unwrap(), sample());
    }

    #[test]
    fn other_encodings_are_refused() {
        let unsorted = [
            0xa3, 0x63, b'a', b'n', b't', 0x82, 1, 2, 0x62, b'b', b'e', 0xf6, 0x65, b'z', b'e',
            b'b', b'r', b'a', 7,
        ];
        assert_eq!(
            from_slice::<Sample>(&unsorted, 64).unwrap_err(),
            DecodeError::NotDeterministic
        );
        let mut trailing = to_vec(&sample()).unwrap();
        trailing.push(0);
        assert_eq!(
            from_slice::<Sample>(&trailing, 64).unwrap_err(),
            DecodeError::NotDeterministic
        );
        // 7 as a two-byte integer.
        let mut long = to_vec(&sample()).unwrap();
        let last = long.len() - 1;
        long.splice(last.., [0x18, 7]);
        assert_eq!(
            from_slice::<Sample>(&long, 64).unwrap_err(),
            DecodeError::NotDeterministic
        );
    }

    #[test]
    fn unknown_fields_are_named() {
        #[derive(Serialize)]
        struct Other {
            zebra: u32,
            ant: Vec<u8>,
            be: Option<String>,
            extra: bool,
        }
        let other = Other {
            zebra: 7,
            ant: vec![],
            be: None,
            extra: true,
        };
        let error = from_slice::<Sample>(&to_vec(&other).unwrap(), 64).unwrap_err();
        assert!(error.to_string().contains("extra"), "{error}");
    }

    #[test]
    fn lengths_and_nesting_are_bounded() {
        let bytes = to_vec(&sample()).unwrap();
        assert!(matches!(
            from_slice::<Sample>(&bytes, 4),
            Err(DecodeError::TooLong {
                actual: 19,
                limit: 4
            })
        ));
        let deep = vec![0x81; 1000];
        assert!(matches!(
            from_slice::<Value>(&deep, 2000),
            Err(DecodeError::Malformed(_))
        ));
        // An array that claims 2^32 members must not allocate for them.
        let huge = [0x9a, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(
            from_slice::<Vec<u64>>(&huge, 64),
            Err(DecodeError::Malformed(_))
        ));
    }
}
