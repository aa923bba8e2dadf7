//! Bytes written as text.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// The bytes that hexadecimal, or else base64, stands for.
pub(crate) fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).ok().or_else(|| base64(text))
}

/// The bytes that base64 of either alphabet stands for, padded or not (RFC 4648, sections 4
/// and 5).
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let standard = text
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    STANDARD_NO_PAD.decode(standard).ok()
}
