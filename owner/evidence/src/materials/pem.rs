//! Certificates and revocation lists in PEM.

use std::borrow::Cow;

use crate::text;

use super::{
    Unrecognized,
    kind::{Kind, Recognized},
};

/// Whether there is a block of PEM, also as it stands in a header of HTTP.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN ") || text.contains("-----BEGIN%20")
}

/// All blocks, with whatever stands between them left out.
pub(super) fn certificates_and_lists(text: &str) -> Result<Vec<Recognized>, Unrecognized> {
    let text = unescaped(text).ok_or(Unrecognized::Unknown)?;
    let mut found = Vec::new();
    for block in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----").ok_or(Unrecognized::Unknown)?;
        let kind = match label {
            "CERTIFICATE" => Kind::Certificate,
            "X509 CRL" => Kind::RevocationList,
            _ => return Err(Unrecognized::Unknown),
        };
        let (body, _) = rest.split_once("-----END ").ok_or(Unrecognized::Unknown)?;
        let dense: String = body.split_ascii_whitespace().collect();
        let bytes = text::base64(&dense).ok_or(Unrecognized::Unknown)?;
        found.push(Recognized::new(kind, bytes));
    }
    Ok(found)
}

/// Intel's service sends chains in headers, escaped as in addresses (RFC 3986, section 2.1).
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains("-----BEGIN%20") {
        return Some(Cow::Borrowed(text));
    }
    let (first, escaped) = text.split_once('%')?;
    let mut bytes = first.as_bytes().to_vec();
    for part in escaped.split('%') {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
