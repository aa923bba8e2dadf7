//! The encoding of AESM's messages: as much of Protocol Buffers as they use.
//!
//! A message is a list of fields: a key, which is the field's number and wire type as one
//! variable-length integer, and a value (Protocol Buffers, "Encoding").

/// A message that is being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

/// A field's value. The two types of fixed size are not among AESM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number (wire type 0).
    Number(u64),
    /// Bytes, or a message (wire type 2).
    Bytes(&'a [u8]),
}

/// The bytes are no message, or one with types that AESM's do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of AESM's")]
pub struct Malformed;

const NUMBER: u64 = 0;
const BYTES: u64 = 2;

impl Writer {
    /// Adds a number.
    #[must_use]
    pub fn number(mut self, field: u32, value: u64) -> Self {
        self.key(field, NUMBER);
        self.integer(value);
        self
    }

    /// Adds bytes, or a message.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, BYTES);
        self.integer(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// The message.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: u64) {
        self.integer(u64::from(field) << 3 | wire_type);
    }

    fn integer(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Goes through a message's fields: each once, in the order in which they stand.
///
/// # Errors
///
/// [`Malformed`] ends it.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Malformed>> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let mut left = rest.take().filter(|left| !left.is_empty())?;
        let read = field(&mut left);
        rest = read.is_ok().then_some(left);
        Some(read)
    })
}

/// The value of a field; the last one where there are several, as Protocol Buffers has it.
///
/// # Errors
///
/// [`Malformed`].
pub fn find(message: &[u8], wanted: u32) -> Result<Option<Value<'_>>, Malformed> {
    fields(message).try_fold(None, |found, read| {
        let (field, value) = read?;
        Ok(if field == wanted { Some(value) } else { found })
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Value<'a>), Malformed> {
    let key = integer(rest)?;
    let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
    let value = match key & 7 {
        NUMBER => Value::Number(integer(rest)?),
        BYTES => {
            let length = usize::try_from(integer(rest)?).map_err(|_| Malformed)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        _ => return Err(Malformed),
    };
    Ok((number, value))
}

fn integer(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        let bits = u64::from(byte & 0x7F);
        if bits << shift >> shift != bits {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_encoded_as_the_specification_shows() {
        // "Encoding", its two examples: a field 1 of 150, a field 2 of "testing".
        assert_eq!(
            Writer::default().number(1, 150).finish(),
            [0x08, 0x96, 0x01]
        );
        let text = Writer::default().bytes(2, b"testing").finish();
        assert_eq!(text, b"\x12\x07testing");
    }

    #[test]
    fn fields_are_read_back_and_the_last_counts() {
        let message = Writer::default()
            .number(1, u64::MAX)
            .bytes(15, b"abc")
            .number(1, 0)
            .bytes(22, b"")
            .finish();
        let read: Vec<_> = fields(&message).map(Result::unwrap).collect();
        let expected = [
            (1, Value::Number(u64::MAX)),
            (15, Value::Bytes(b"abc")),
            (1, Value::Number(0)),
            (22, Value::Bytes(b"")),
        ];
        assert_eq!(read, expected);
        assert_eq!(find(&message, 1), Ok(Some(Value::Number(0))));
        assert_eq!(find(&message, 15), Ok(Some(Value::Bytes(b"abc"))));
        assert_eq!(find(&message, 3), Ok(None));
    }

    #[test]
    fn what_is_cut_or_too_large_is_malformed() {
        let message = Writer::default().bytes(2, b"testing").number(1, 300);
        let message = message.finish();
        for cut in [1, 2, 8, 10, 11] {
            assert_eq!(find(&message[..cut], 9), Err(Malformed), "{cut}");
        }
        for wrong in [
            // Wire types 1, 3, 5.
            &[0x09, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x0B, 0x0C],
            &[0x0D, 0, 0, 0, 0],
            // Numbers of more than 64 bits, and one that does not end.
            &[
                0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02,
            ],
            &[0x80; 20],
            // A field's number of more than 32 bits, bytes that are longer than all there is.
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0],
            &[
                0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
            ],
        ] {
            assert_eq!(find(wrong, 1), Err(Malformed), "{wrong:x?}");
        }
    }
}
