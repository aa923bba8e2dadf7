//! A host over HTTP.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use enarx_wire_host_api::{
    FrameDecoder, HEADER_FIRST_FRAME, HostInfo, KeepId, KeepInfo, KeepList, MEDIA_TYPE_PROBLEM,
    OfferResponse, Operation, SERVICE_NAME, StartRequest, StartedKeep, encode_frame,
};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use reqwest::{
    Body, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::connection::{FrameStream, HostConnection, HostError, OutputStream, PackageStream};

/// A host that is reached by its URL.
pub struct HttpHost {
    client: Client,
    base: Url,
    token: Option<Zeroizing<String>>,
}

impl HttpHost {
    /// Prepares to talk to the host at `url` (`http` or `https`), with the bearer
    /// `token` that it asks for and, for a host whose certificate no public authority
    /// issued, that authority's certificates in PEM. Connects at the first call.
    ///
    /// # Errors
    ///
    /// [`HttpHostError`] for a URL or certificates that are none.
    pub fn new(
        url: &str,
        token: Option<Zeroizing<String>>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, HttpHostError> {
        // `localhost:7363` would be a URL too, of the scheme `localhost`.
        if !url.contains("://") {
            return Err(HttpHostError::NoScheme {
                url: url.to_owned(),
            });
        }
        let mut base = Url::parse(url).map_err(|error| HttpHostError::Url {
            url: url.to_owned(),
            reason: error.to_string(),
        })?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(HttpHostError::Url {
                url: url.to_owned(),
                reason: "a host's URL begins with http:// or https:// and names a machine".into(),
            });
        }
        // A base without a slash at its end would lose its last part when joined.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("enarx/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| HttpHostError::Authorities(error.to_string()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if base.scheme() == "http" {
            // This machine may have no authorities, and nobody needs them.
            builder = builder.tls_certs_only([]);
        }
        let client = builder
            .build()
            .map_err(|error| HttpHostError::Client(error.to_string()))?;
        Ok(Self {
            client,
            base,
            token,
        })
    }

    /// Whether the token can be read on its way: there is one, and it goes to another machine
    /// without TLS.
    #[must_use]
    pub fn exposes_token(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost"
            || bare
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        self.token.is_some() && self.base.scheme() == "http" && !is_here
    }

    fn request(&self, operation: Operation, path: &str) -> Result<RequestBuilder, HostError> {
        let url = self
            .base
            .join(path.trim_start_matches('/'))
            .map_err(|error| HostError::Malformed(error.to_string()))?;
        let method = Method::from_bytes(operation.method().as_str().as_bytes())
            .map_err(|error| HostError::Malformed(error.to_string()))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        if let Some(media_type) = operation.request_media_type() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(media_type) = operation.response_media_type() {
            request = request.header(ACCEPT, media_type);
        }
        // Streams last as long as they last; everything else is bounded, so that a
        // host that stalls cannot hold its owner.
        Ok(match operation {
            Operation::Package | Operation::Output | Operation::Input => request,
            Operation::Stop => request.timeout(STOP_TIMEOUT),
            _ => request.timeout(CALL_TIMEOUT),
        })
    }

    fn keep_request(
        &self,
        operation: Operation,
        keep: KeepId,
    ) -> Result<RequestBuilder, HostError> {
        self.request(operation, &operation.path_for(keep))
    }
}

impl HostConnection for HttpHost {
    fn info(&self) -> BoxFuture<'_, Result<HostInfo, HostError>> {
        Box::pin(async {
            let operation = Operation::Host;
            let request = self.request(operation, operation.path())?;
            let info: HostInfo = match json(send(operation, request).await?).await {
                Err(HostError::Malformed(reason)) => return Err(not_a_host(&reason)),
                other => other?,
            };
            if info.service == SERVICE_NAME {
                Ok(info)
            } else {
                Err(not_a_host(&format!("a service named {:?}", info.service)))
            }
        })
    }

    fn start(&self, start: StartRequest) -> BoxFuture<'_, Result<StartedKeep, HostError>> {
        Box::pin(async move {
            let operation = Operation::Start;
            let body = serde_json::to_vec(&start)
                .map_err(|error| HostError::Malformed(error.to_string()))?;
            let request = self.request(operation, operation.path())?.body(body);
            json(send(operation, request).await?).await
        })
    }

    fn offer(&self, keep: KeepId) -> BoxFuture<'_, Result<OfferResponse, HostError>> {
        Box::pin(async move {
            let request = self.keep_request(Operation::Offer, keep)?;
            json(send(Operation::Offer, request).await?).await
        })
    }

    fn provision(&self, keep: KeepId, grant: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let request = self.keep_request(Operation::Provision, keep)?.body(grant);
            send(Operation::Provision, request).await.map(drop)
        })
    }

    fn package(
        &self,
        keep: KeepId,
        package: PackageStream,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let request = self
                .keep_request(Operation::Package, keep)?
                .body(Body::wrap_stream(package));
            send(Operation::Package, request).await.map(drop)
        })
    }

    fn output(
        &self,
        keep: KeepId,
        from: u64,
        follow: bool,
    ) -> BoxFuture<'_, Result<OutputStream, HostError>> {
        Box::pin(async move {
            let path = format!(
                "{}?from={from}&follow={follow}",
                Operation::Output.path_for(keep)
            );
            let request = self.request(Operation::Output, &path)?;
            let response = send(Operation::Output, request).await?;
            let first = response
                .headers()
                .get(HEADER_FIRST_FRAME)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .ok_or_else(|| HostError::Malformed(format!("no {HEADER_FIRST_FRAME} header")))?;
            Ok(OutputStream {
                first,
                frames: frames(response),
            })
        })
    }

    fn input(
        &self,
        keep: KeepId,
        frames: BoxStream<'static, Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let body = frames.map(|frame| {
                let length = encode_frame(&frame).map_err(std::io::Error::other)?;
                let mut bytes = Vec::with_capacity(length.len() + frame.len());
                bytes.extend_from_slice(&length);
                bytes.extend_from_slice(&frame);
                Ok::<_, std::io::Error>(bytes)
            });
            let request = self
                .keep_request(Operation::Input, keep)?
                .body(Body::wrap_stream(body));
            send(Operation::Input, request).await.map(drop)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeepInfo>, HostError>> {
        Box::pin(async move {
            let request = self.request(Operation::List, Operation::List.path())?;
            let list: KeepList = json(send(Operation::List, request).await?).await?;
            Ok(list.keeps)
        })
    }

    fn inspect(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        Box::pin(async move {
            let request = self.keep_request(Operation::Inspect, keep)?;
            json(send(Operation::Inspect, request).await?).await
        })
    }

    fn stop(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        Box::pin(async move {
            let request = self.keep_request(Operation::Stop, keep)?;
            json(send(Operation::Stop, request).await?).await
        })
    }
}

/// Why a host could not even be addressed.
#[derive(Debug, thiserror::Error)]
pub enum HttpHostError {
    /// It does not say how the host is spoken to.
    #[error("{url:?} is not a host's URL: it lacks http:// or https://")]
    NoScheme {
        /// What was given.
        url: String,
    },
    /// The URL is not one.
    #[error("{url:?} is not a host's URL: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate authorities are not PEM certificates.
    #[error("the certificate authorities cannot be read: {0}")]
    Authorities(String),
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a call and its answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for ending a Keep, which is also done on the way out of an error.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest JSON answer in bytes.
const MAX_ANSWER: usize = 4 << 20;

async fn send(operation: Operation, request: RequestBuilder) -> Result<Response, HostError> {
    let response = request.send().await.map_err(|error| transport(&error))?;
    let status = response.status();
    if status.as_u16() == operation.success_status() {
        return Ok(response);
    }
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(MEDIA_TYPE_PROBLEM.as_bytes()));
    if !is_problem {
        return Err(not_a_host(&format!("status {status}")));
    }
    let body = bounded_body(response).await?;
    match serde_json::from_slice(&body) {
        Ok(problem) => Err(HostError::Refused(Box::new(problem))),
        Err(_) if status == StatusCode::NOT_FOUND => Err(not_a_host(&format!("status {status}"))),
        Err(error) => Err(HostError::Malformed(error.to_string())),
    }
}

async fn json<T: DeserializeOwned>(response: Response) -> Result<T, HostError> {
    let body = bounded_body(response).await?;
    serde_json::from_slice(&body).map_err(|error| HostError::Malformed(error.to_string()))
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>, HostError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(HostError::Malformed(format!(
                "an answer of more than {MAX_ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn frames(response: Response) -> FrameStream {
    let pieces = response
        .bytes_stream()
        .map_err(|error| transport(&error))
        .boxed();
    let state = (pieces, Bytes::new(), FrameDecoder::new());
    stream::try_unfold(state, |(mut pieces, mut piece, mut decoder)| async move {
        let malformed = |error| HostError::Malformed(format!("in the output stream: {error}"));
        loop {
            let mut rest: &[u8] = &piece;
            let before = rest.len();
            let frame = decoder.decode(&mut rest).map_err(malformed)?;
            let used = before - rest.len();
            let _ = piece.split_to(used);
            if let Some(frame) = frame {
                return Ok(Some((frame, (pieces, piece, decoder))));
            }
            match pieces.try_next().await? {
                Some(next) => piece = next,
                None => {
                    decoder.finish().map_err(malformed)?;
                    return Ok(None);
                }
            }
        }
    })
    .boxed()
}

fn transport(error: &reqwest::Error) -> HostError {
    // The sentence that helps is at the end of the chain of causes.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let mut reason = cause.to_string();
    if let Some(url) = error.url() {
        let origin = url.origin().ascii_serialization();
        if let Some(guess) = other_scheme(&origin, &reason) {
            return HostError::Unreachable(guess);
        }
        reason = format!("{reason} ({origin})");
    }
    if error.is_connect() {
        HostError::Unreachable(reason)
    } else if error.is_decode() {
        HostError::Malformed(reason)
    } else {
        HostError::Broken(reason)
    }
}

/// What to write instead of `origin` when whoever is there speaks the other one of HTTP
/// and HTTPS, which can only be told by how the protocols take each other's first bytes.
fn other_scheme(origin: &str, reason: &str) -> Option<String> {
    if let Some(rest) = origin.strip_prefix("https://") {
        // What rustls says of a record that is none.
        return reason.contains("InvalidContentType").then(|| {
            format!("{origin} answers without TLS; its address seems to be http://{rest}")
        });
    }
    let rest = origin.strip_prefix("http://")?;
    // What hyper says of a TLS alert where a status line is due.
    reason
        .contains("invalid HTTP version")
        .then(|| format!("{origin} answers with TLS; its address seems to be https://{rest}"))
}

fn not_a_host(what: &str) -> HostError {
    HostError::NotAHost(format!("an answer came, but not a host's ({what})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_exposed_on_the_way_to_other_machines() {
        let exposes = |url: &str, token: Option<&str>| {
            let token = token.map(|token| Zeroizing::new(token.to_owned()));
            HttpHost::new(url, token, None).unwrap().exposes_token()
        };
        for (url, exposed) in [
            ("http://host.example:7363", true),
            ("http://192.0.2.1", true),
            ("http://[2001:db8::1]:7363", true),
            ("http://localhost.example", true),
            ("https://host.example", false),
            ("http://localhost:7363", false),
            ("http://LOCALHOST", false),
            ("http://127.0.0.2:7363", false),
            ("http://[::1]:7363", false),
        ] {
            assert_eq!(exposes(url, Some("token")), exposed, "{url}");
            assert!(!exposes(url, None), "{url}");
        }
    }
}
