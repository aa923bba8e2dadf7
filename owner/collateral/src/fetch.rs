//! One request to a vendor's service or a mirror of it.

use core::time::Duration;

use reqwest::{Client, StatusCode, header::IF_NONE_MATCH};

use crate::Item;

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Source {
    /// Base URL of AMD's service, without a slash at its end.
    pub amd: String,
    /// Base URL of Intel's service or a PCCS, without a slash at its end.
    pub intel: String,
    /// Base URL at which Intel's root has its revocation list, without a slash at its end.
    pub intel_root: String,
}

/// The vendors' own services.
impl Default for Source {
    fn default() -> Self {
        Self {
            amd: "https://kdsintf.amd.com".into(),
            intel: "https://api.trustedservices.intel.com".into(),
            intel_root: "https://certificates.trustedservices.intel.com".into(),
        }
    }
}

/// An answer, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A document.
    Document(Fetched),
    /// The document is still the one that the asker has.
    Unchanged,
}

/// A document that a service sent, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The document.
    pub body: Vec<u8>,
    /// The issuer chain, URL-encoded PEM, where Intel's service sends one.
    pub issuer_chain: Option<String>,
    /// What the service calls this version of it (RFC 9110, section 8.8.3).
    pub etag: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The vendor has no such document.
    #[error("{url} does not exist: the vendor knows no such chip, version, or family")]
    Unknown {
        /// What was asked for.
        url: String,
    },
    /// Asked too often.
    #[error("{url} was asked for too often; ask again after {} s", .retry_after.unwrap_or(60))]
    Limited {
        /// What was asked for.
        url: String,
        /// Seconds to wait, when the service says so.
        retry_after: Option<u64>,
    },
    /// Another status.
    #[error("{url} was answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is too large.
    #[error("{url} was answered with more than {MAX_BODY} bytes")]
    Oversize {
        /// What was asked for.
        url: String,
    },
    /// The issuer chain is missing or not text.
    #[error("{url} was answered without a readable issuer chain")]
    NoChain {
        /// What was asked for.
        url: String,
    },
    /// No connection, or it broke before the end.
    #[error("{url} cannot be fetched: {source}")]
    Transport {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
}

impl FetchError {
    /// Whether the same request can succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => (500..600).contains(status),
            Self::Unknown { .. } | Self::Oversize { .. } | Self::NoChain { .. } => false,
        }
    }

    /// How long the service asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } => retry_after.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// The largest answer in bytes.
const MAX_BODY: usize = 2 << 20;

/// Longest entity tag that is remembered, in bytes.
const MAX_TAG: usize = 256;

/// Asks for `item` once, unless it is still what the service calls `etag`. `client` decides
/// on timeouts, TLS, and redirects.
///
/// # Errors
///
/// [`FetchError`], by cause; a body that is cut short is [`FetchError::Transport`].
pub async fn fetch(
    client: &Client,
    source: &Source,
    item: &Item,
    etag: Option<&str>,
) -> Result<Answer, FetchError> {
    let url = format!("{}{}", item.base(source), item.path());
    let broken = |source| FetchError::Transport {
        url: url.clone(),
        source,
    };
    let mut request = client.get(&url);
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let mut response = request.send().await.map_err(broken)?;
    let header = |name: &str| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Answer::Unchanged),
        StatusCode::NOT_FOUND => return Err(FetchError::Unknown { url }),
        StatusCode::TOO_MANY_REQUESTS => {
            let retry_after = header("retry-after")
                .and_then(|value| seconds_to_wait(&value, header("date").as_deref()));
            return Err(FetchError::Limited { url, retry_after });
        }
        status => {
            let status = status.as_u16();
            return Err(FetchError::Status { url, status });
        }
    }
    let issuer_chain = item.chain_header().and_then(header);
    if item.chain_header().is_some() && issuer_chain.is_none() {
        return Err(FetchError::NoChain { url });
    }
    let etag = header("etag").filter(|etag| etag.len() <= MAX_TAG);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::Oversize { url });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer::Document(Fetched {
        body,
        issuer_chain,
        etag,
    }))
}

/// How long to wait (RFC 9110, section 10.2.3): seconds, or a time, which counts from the
/// service's own `date`.
fn seconds_to_wait(retry_after: &str, date: Option<&str>) -> Option<u64> {
    if let Ok(seconds) = retry_after.parse() {
        return Some(seconds);
    }
    let until = httpdate::parse_http_date(retry_after).ok()?;
    let from = httpdate::parse_http_date(date?).ok()?;
    Some(until.duration_since(from).map_or(0, |wait| wait.as_secs()))
}
