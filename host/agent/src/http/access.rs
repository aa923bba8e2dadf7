//! Who may use the service: whoever has the access token (RFC 6750).

use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, ORIGIN},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Who may use the service.
#[derive(Clone)]
pub enum Access {
    /// Whoever can reach it. For a service that only its own user can reach.
    Anyone,
    /// Whoever has this token.
    Token(AccessToken),
}

/// A secret that callers send as `Authorization: Bearer <token>`.
///
/// Only its SHA-256 digest is held. Digests have one size, so that comparing them
/// tells nothing about a token's length either.
#[derive(Clone)]
pub struct AccessToken {
    digest: [u8; 32],
}

/// The shortest access token in bytes.
const MIN_TOKEN_BYTES: usize = 16;

impl AccessToken {
    /// Takes a token as it stands in a file or a variable: white space around it is
    /// no part of it. The text is erased.
    ///
    /// # Errors
    ///
    /// [`TokenError`] when it is too short, or cannot stand in a header.
    pub fn new(text: String) -> Result<Self, TokenError> {
        let text = Zeroizing::new(text);
        let token = text.trim();
        if token.len() < MIN_TOKEN_BYTES {
            return Err(TokenError::TooShort);
        }
        // RFC 6750, section 2.1: b64token.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !token.bytes().all(allowed) {
            return Err(TokenError::Character);
        }
        Ok(Self {
            digest: Sha256::digest(token.as_bytes()).into(),
        })
    }

    fn matches(&self, token: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.digest.ct_eq(&digest).into()
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.digest.zeroize();
    }
}

/// Why a text is no access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Whoever guesses could guess it.
    #[error("an access token must have at least {MIN_TOKEN_BYTES} characters")]
    TooShort,
    /// It has characters that a bearer token cannot have.
    #[error("an access token may have letters, digits, and - . _ ~ + / = only")]
    Character,
}

impl Access {
    /// Whether a request with these headers may pass.
    pub(super) fn permits(&self, headers: &HeaderMap) -> bool {
        match self {
            // Only browsers send it: a page must not start Keeps by its visitor's hand.
            Self::Anyone => !headers.contains_key(ORIGIN),
            Self::Token(token) => bearer(headers).is_some_and(|sent| token.matches(sent)),
        }
    }
}

/// The token of a request with exactly one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_passes() {
        let token = AccessToken::new(" 0123456789abcdef\n".into()).unwrap();
        let access = Access::Token(token);
        let permits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            access.permits(&headers)
        };
        assert!(permits(&["Bearer 0123456789abcdef"]));
        assert!(permits(&["bearer 0123456789abcdef"]));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "0123456789abcdef",
        ] {
            assert!(!permits(&[wrong]), "{wrong}");
        }
        assert!(!permits(&[]));
        assert!(!permits(&["Bearer 0123456789abcdef"; 2]));
        assert!(Access::Anyone.permits(&HeaderMap::new()));
        let page = HeaderMap::from_iter([(ORIGIN, "http://page".parse().unwrap())]);
        assert!(!Access::Anyone.permits(&page));
    }

    #[test]
    fn weak_and_unsendable_tokens_are_refused() {
        let error = |text: &str| AccessToken::new(text.into()).err();
        assert_eq!(error(""), Some(TokenError::TooShort));
        assert_eq!(error("   0123456789abcde   "), Some(TokenError::TooShort));
        assert_eq!(error("0123456789 abcdef"), Some(TokenError::Character));
        assert_eq!(error("0123456789\nabcdef"), Some(TokenError::Character));
    }
}
