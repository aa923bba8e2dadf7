//! Who may use the service: whoever has the access token (RFC 6750).

use std::net::IpAddr;

use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, HOST, ORIGIN},
    uri::Authority,
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
    ///
    /// # Errors
    ///
    /// Why not, in words for the caller; none where a token is all that is missing.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        match self {
            Self::Anyone if comes_from_page(headers) => Err(
                "pages in browsers cannot use this host; it takes no tokens that would tell them from their visitors",
            ),
            Self::Anyone if !is_for_own_address(headers) => Err(
                "without a token this host answers to its IP addresses and to localhost alone; its operator can give it a token with --token-file",
            ),
            Self::Token(token) if !bearer(headers).is_some_and(|sent| token.matches(sent)) => {
                Err("")
            }
            Self::Anyone | Self::Token(_) => Ok(()),
        }
    }
}

/// Whether another site's page sends this by its visitor's hand. Only browsers send these headers
/// (Fetch Metadata Request Headers, section 2.4: `none` is the visitor's own doing).
fn comes_from_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    headers.contains_key(ORIGIN) || sites.any(|site| site != "none" && site != "same-origin")
}

/// Whether a request is for an address and not for a name. Names are whoever's who answers for
/// them: a page could have its own name become this host's address, and would count as the
/// host's own then.
fn is_for_own_address(headers: &HeaderMap) -> bool {
    let is_own = |host: &str| {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        host.eq_ignore_ascii_case("localhost") || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
    };
    headers.get_all(HOST).iter().all(|value| {
        Authority::try_from(value.as_bytes()).is_ok_and(|authority| is_own(authority.host()))
    })
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
            access.check(&headers).is_ok()
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
    }

    #[test]
    fn pages_do_not_pass_without_a_token() {
        let permits = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter();
            let headers =
                headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            Access::Anyone.check(&headers.collect()).is_ok()
        };
        for host in [
            "127.0.0.1:7363",
            "192.0.2.1",
            "[::1]:7363",
            "localhost:7363",
            "LOCALHOST",
        ] {
            assert!(permits(&[("host", host)]), "{host}");
            let page = [("host", host), ("origin", "http://page.example")];
            assert!(!permits(&page));
            for (site, passes) in [
                ("none", true),
                ("same-origin", true),
                ("same-site", false),
                ("cross-site", false),
            ] {
                assert_eq!(permits(&[("host", host), ("sec-fetch-site", site)]), passes);
            }
        }
        // No browser leaves the header out.
        assert!(permits(&[]));
        // A page's own name that has become this host's address.
        for host in [
            "page.example:7363",
            "localhost.page.example",
            "127.0.0.1.page.example",
            "a@127.0.0.1 b",
            "",
        ] {
            assert!(!permits(&[("host", host)]), "{host}");
        }
        assert!(!permits(&[("host", "localhost"), ("host", "page.example")]));
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
