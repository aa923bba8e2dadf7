//! Sizes and times as people write them.

use std::time::Duration;

/// Reads a number of bytes: `268435456`, `256MiB`, `1.5 GiB`, `64k`.
///
/// Units with `i` count in 1024, those without in 1000.
///
/// # Errors
///
/// [`QuantityError::Bytes`], [`QuantityError::NoBytes`].
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    match text.trim().parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        Ok(_) => Err(QuantityError::NoBytes),
        _ => Err(QuantityError::Bytes(text.to_owned())),
    }
}

/// Reads a time: `30s`, `1h 30m`, `500ms`.
///
/// # Errors
///
/// [`QuantityError::Duration`], or [`QuantityError::TooShort`] for less than a
/// millisecond.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    match humantime::parse_duration(text.trim()) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        Ok(_) => Err(QuantityError::TooShort),
        _ => Err(QuantityError::Duration(text.to_owned())),
    }
}

/// A text that is no size or no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("{0:?} is not a size; write it as 268435456, \"256MiB\" or \"1.5GiB\"")]
    Bytes(String),
    /// A size of nothing.
    #[error("a size must be more than 0; leave it out for the default")]
    NoBytes,
    /// Not a time.
    #[error("{0:?} is not a time; write it as \"30s\", \"500ms\" or \"1h 30m\"")]
    Duration(String),
    /// No time, or as good as none.
    #[error("a time must be at least 1ms; leave it out for the default")]
    TooShort,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("2MB"), Ok(2_000_000));
        assert_eq!(parse_bytes("0"), Err(QuantityError::NoBytes));
        for wrong in ["", "-1", "lots", "5 apples", "1e99"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for short in ["0s", "1us"] {
            assert_eq!(parse_duration(short), Err(QuantityError::TooShort));
        }
        for wrong in ["", "30", "soon", "-1s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
