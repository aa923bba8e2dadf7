//! Requests of a component (`wasi:http/outgoing-handler`; `wasi:http/client` of WASI 0.3).

use std::{io, sync::Arc, time::Duration};

use enarx_wire_package::Transport;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::{http1, http2},
    header::HOST,
    http::uri::{PathAndQuery, Scheme},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use wasmtime_wasi::runtime::{self, AbortOnDropJoinHandle};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, io::TokioIo};

use super::{
    guest_body::{GuestBody, Life},
    patience::{Patient, PatientBody},
};
use crate::network::{DialError, NameError, Network, Policy, Stream, dial};

/// Sends requests, each over a connection of its own.
pub struct Outgoing {
    policy: Arc<Policy>,
    network: Arc<Network>,
    life: Life,
}

/// How long a server has for a connection, for the head of its answer, and between parts of
/// its body, where the program says nothing else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that a program writes to a body at a time.
const CHUNK: usize = 64 << 10;

impl Outgoing {
    /// Requests that `policy` allows, of an instance with this `life`.
    pub const fn new(policy: Arc<Policy>, network: Arc<Network>, life: Life) -> Self {
        Self {
            policy,
            network,
            life,
        }
    }
}

type Worker = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Worker,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Worker), Error>> + Send> {
        let sender = Sender {
            policy: Arc::clone(&self.policy),
            network: Arc::clone(&self.network),
            options: options.unwrap_or_default(),
        };
        let life = self.life.clone();
        let request = request.map(|body| GuestBody::new(body, life, |_| {}).boxed_unsync());
        Box::new(sender.send(request))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

/// One request.
struct Sender {
    policy: Arc<Policy>,
    network: Arc<Network>,
    options: RequestOptions,
}

impl Sender {
    async fn send(self, request: Request<WasiBody>) -> Result<(Response<WasiBody>, Worker), Error> {
        let target = Target::of(request.uri())?;
        let Target {
            transport,
            ref host,
            port,
        } = target;
        if !self.policy.allows_request(transport, host, port) {
            return Err(Error::HttpRequestDenied);
        }
        let connecting = timeout(
            self.options.connect_timeout.unwrap_or(PATIENCE),
            self.connect(&target),
        );
        let (stream, is_http2) = connecting.await.map_err(|_| Error::ConnectionTimeout)??;
        let io = TokioIo::new(Patient::new(stream));
        let head_time = self.options.first_byte_timeout.unwrap_or(PATIENCE);
        let (answered, worker): (_, AbortOnDropJoinHandle<hyper::Result<()>>) = if is_http2 {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .handshake(io)
                .await?;
            let worker = runtime::spawn(connection);
            let request = without_host(request);
            (
                timeout(head_time, sender.send_request(request)).await,
                worker,
            )
        } else {
            let (mut sender, connection) = http1::handshake(io).await?;
            let worker = runtime::spawn(connection);
            let request = in_origin_form(request)?;
            (
                timeout(head_time, sender.send_request(request)).await,
                worker,
            )
        };
        let response = answered.map_err(|_| Error::ConnectionReadTimeout)??;
        // What befalls the connection shows in the answer and its body, or comes after them.
        let worker = async move {
            let _ = worker.await;
            Ok(())
        };
        Ok((self.patient(response), Box::new(worker)))
    }

    /// A connection, and whether it is one of HTTP/2.
    async fn connect(&self, target: &Target) -> Result<(Box<dyn Stream>, bool), Error> {
        let dialled = dial(&self.network.lookup, &target.host, target.port).await;
        let stream = dialled.map_err(|error| match error {
            DialError::Connect(error) => connect_error(error),
            DialError::Name(NameError::Late) => Error::DnsTimeout,
            DialError::Name(error) => Error::DnsError {
                rcode: Some(error.to_string()),
                info_code: None,
            },
        })?;
        if target.transport == Transport::Http {
            return Ok((Box::new(stream), false));
        }
        let connected = self.network.tls.connect(&target.host, stream).await;
        let connected = connected.map_err(tls_error)?;
        Ok((connected.stream, connected.is_http2))
    }

    fn patient(&self, response: Response<Incoming>) -> Response<WasiBody> {
        let pause = self.options.between_bytes_timeout.unwrap_or(PATIENCE);
        response.map(|body| PatientBody::new(body, pause).boxed_unsync())
    }
}

/// To whom a request goes.
struct Target {
    transport: Transport,
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let (transport, default_port) = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => (Transport::Https, 443),
            Some(scheme) if *scheme == Scheme::HTTP => (Transport::Http, 80),
            _ => return Err(Error::HttpProtocolError),
        };
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        // A name and password before the host are nobody's here.
        if authority.as_str().contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        let host = authority.host();
        // What the library has no number for, it takes for no port at all.
        let port = match &authority.as_str()[host.len()..] {
            "" | ":" => default_port,
            port => (port.strip_prefix(':'))
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or(Error::HttpRequestUriInvalid)?,
        };
        let host = (host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']')))
        .unwrap_or(host);
        Ok(Self {
            transport,
            host: host.to_owned(),
            port,
        })
    }
}

/// The form of requests to the server itself (RFC 9112, section 3.2.1).
fn in_origin_form(mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().path_and_query(path).build();
    *request.uri_mut() = uri.map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(request)
}

/// In HTTP/2 the authority of the URI says it (RFC 9113, section 8.3.1).
fn without_host(mut request: Request<WasiBody>) -> Request<WasiBody> {
    request.headers_mut().remove(HOST);
    request
}

fn connect_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Error::DestinationIpUnroutable
        }
        _ => Error::Connect(error),
    }
}

fn tls_error(error: io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        _ if error.kind() == io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::TlsProtocolError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> Option<(String, u16)> {
        let target = Target::of(&uri.parse().ok()?).ok()?;
        Some((target.host, target.port))
    }

    #[test]
    fn targets_have_hosts_and_ports() {
        let known = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(target("https://a.example/x"), known("a.example", 443));
        assert_eq!(target("http://a.example:8080"), known("a.example", 8080));
        assert_eq!(target("https://[::1]:1/"), known("::1", 1));
        assert_eq!(target("ftp://a.example/"), None);
        assert_eq!(target("https://allowed.example@other.example/"), None);
        // RFC 3986, section 3.2.3: an empty port is the scheme's own.
        assert_eq!(target("https://a.example:/"), known("a.example", 443));
        for port in ["65536", "+1", "-1", "1."] {
            assert_eq!(
                target(&format!("https://a.example:{port}/")),
                None,
                "{port}"
            );
        }
        assert_eq!(target("/path"), None);
    }
}
