//! Sizes and times as people write them.

use std::time::Duration;

/// Reads a number of bytes: `268435456`, `256MiB`, `1.5 GiB`, `64k`.
///
/// Units with `i` count in 1024, those without in 1000.
///
/// # Errors
///
/// [`QuantityError::Bytes`].
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    match text.trim().parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        _ => Err(QuantityError::Bytes(text.to_owned())),
    }
}

/// Reads a time: `30s`, `1h 30m`, `500ms`.
///
/// # Errors
///
/// [`QuantityError::Duration`] for no time, or less than a millisecond.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    match humantime::parse_duration(text.trim()) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(QuantityError::Duration(text.to_owned())),
    }
}

/// A text that is no size or no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("{0:?} is not a size; write it as 268435456, \"256MiB\" or \"1.5GiB\"")]
    Bytes(String),
    /// Not a time.
    #[error("{0:?} is not a time; write it as \"30s\", \"500ms\" or \"1h 30m\"")]
    Duration(String),
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
        for wrong in ["", "0", "-1", "lots", "5 apples", "1e99"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "0s", "30", "1us", "soon", "-1s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
