//! TLS 1.3 for the program's sockets, which ends inside the Keep.
//!
//! The host sees that there is TLS, the name that a client asks for, and sizes and times. It
//! decides nothing: certificates, keys and authorities come from the package, randomness from
//! the CPU, and time from the Keep's clock, which it cannot set back.

mod certificate;
mod key_exchange;
mod provider;
mod signing;

use std::{io, sync::Arc, time::Duration};

use enarx_wire_package::{EntryKind, Manifest, Protocol, TlsSettings};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use wasmtime_wasi::HostWallClock as _;
use zeroize::Zeroizing;

use crate::{clock::KeepClock, network::Stream};
use certificate::Subject;
use provider::random;
use signing::SigningKeyP256;

/// What the package holds for TLS, in PEM.
#[derive(Default)]
pub struct Materials {
    certificates: Option<Zeroizing<Vec<u8>>>,
    key: Option<Zeroizing<Vec<u8>>>,
    authorities: Option<Zeroizing<Vec<u8>>>,
    client_authorities: Option<Zeroizing<Vec<u8>>>,
}

impl Materials {
    /// Where an entry of this kind goes; `None` for what is not for TLS.
    pub const fn place(&mut self, kind: EntryKind) -> Option<&mut Option<Zeroizing<Vec<u8>>>> {
        match kind {
            EntryKind::TlsCertificates => Some(&mut self.certificates),
            EntryKind::TlsKey => Some(&mut self.key),
            EntryKind::TlsAuthorities => Some(&mut self.authorities),
            EntryKind::TlsClientAuthorities => Some(&mut self.client_authorities),
            EntryKind::Artifact | EntryKind::Wasm | EntryKind::File => None,
        }
    }
}

/// TLS as the package configures it.
#[derive(Clone, Default)]
pub struct Tls {
    server: Option<TlsAcceptor>,
    client: Option<TlsConnector>,
    /// For programs that speak with servers themselves.
    plain_client: Option<TlsConnector>,
    /// The certificate that this Keep has issued to itself, in DER.
    issued: Option<Arc<[u8]>>,
}

/// How long a peer has for its handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long a certificate is valid that a Keep issues to itself, and for how much a client's
/// clock may be behind.
const VALIDITY: Duration = Duration::from_secs(397 * 24 * 3600);
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(3600);

impl Tls {
    /// What the sockets of `manifest` need. The materials have served then.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the package's materials are not right.
    pub fn new(
        manifest: &Manifest,
        materials: Materials,
        clock: KeepClock,
    ) -> Result<Self, TlsError> {
        let materials = &materials;
        let (serves, connects) = manifest.uses_protocol(Protocol::Tls);
        // Whoever names authorities may have a program that connects by itself.
        let connects = connects || materials.authorities.is_some();
        if !serves && !connects {
            return Ok(Self::default());
        }
        let default = TlsSettings::default();
        let settings = manifest.tls.as_ref().unwrap_or(&default);
        let provider = provider::provider();
        let own = supplied(materials)?;
        let mut issued = None;
        let is_http = manifest.http.is_some() || manifest.network.is_some();
        let server = if serves {
            let identity = match &own {
                Some(identity) => Arc::clone(identity),
                None => {
                    let identity = issue(settings, clock)?;
                    issued = Some(Arc::from(identity.end_entity_cert()?.as_ref()));
                    Arc::new(identity)
                }
            };
            let mut server = server(&provider, identity, materials, settings, clock)?;
            if is_http {
                server.alpn_protocols = http_protocols();
            }
            Some(server)
        } else {
            None
        };
        let plain_client = match connects {
            true => Some(client(&provider, own, materials, clock)?),
            false => None,
        };
        let client = plain_client.clone().map(|mut client| {
            if is_http {
                client.alpn_protocols = http_protocols();
            }
            client
        });
        let connector = |client| TlsConnector::from(Arc::new(client));
        Ok(Self {
            server: server.map(|server| TlsAcceptor::from(Arc::new(server))),
            client: client.map(connector),
            plain_client: plain_client.map(connector),
            issued,
        })
    }

    /// The certificate that this Keep has issued to itself, in DER.
    pub fn issued(&self) -> Option<&[u8]> {
        self.issued.as_deref()
    }

    /// Makes the handshake with a client.
    ///
    /// # Errors
    ///
    /// Whatever the client did wrong.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Protected> {
        let server = self.server.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let handshake = timeout(HANDSHAKE_TIME, server.accept(buffered(stream)));
        let stream = handshake.await.map_err(|_| io::ErrorKind::TimedOut)??;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok(Protected {
            stream: Box::new(stream),
            is_http2,
        })
    }

    /// Makes the handshake with the server at `host`, a name or an IP address, for which it
    /// must have a certificate.
    ///
    /// # Errors
    ///
    /// Whatever the server did wrong.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Protected> {
        let client = self.client.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = handshake(client, host, buffered(stream)).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok(Protected {
            stream: Box::new(stream),
            is_http2,
        })
    }

    /// Makes the handshake over `transport` with the server at `host`, with whom the program speaks by itself.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect); [`io::ErrorKind::Unsupported`] when the package names no authorities.
    pub async fn connect_over<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        transport: T,
    ) -> io::Result<TlsStream<T>> {
        let client = self.plain_client.as_ref();
        let client = client.ok_or_else(|| {
            let reason = "the package names no authorities, without which no server can be trusted";
            io::Error::new(io::ErrorKind::Unsupported, reason)
        })?;
        handshake(client, host, transport).await
    }
}

/// Makes the handshake with the server at `host` over `transport`.
async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    client: &TlsConnector,
    host: &str,
    transport: T,
) -> io::Result<TlsStream<T>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let handshake = timeout(HANDSHAKE_TIME, client.connect(name, transport));
    handshake.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// The library asks for 4 KiB at a time, and a Keep pays dearly for asking its host.
fn buffered(stream: TcpStream) -> BufReader<TcpStream> {
    /// Bytes: somewhat more than one record of TLS.
    const RECEIVED: usize = 20 << 10;
    BufReader::with_capacity(RECEIVED, stream)
}

/// A connection with TLS.
pub struct Protected {
    /// Its bytes, outside of TLS.
    pub stream: Box<dyn Stream>,
    /// Whether both sides agreed on HTTP/2 (RFC 9113, section 3.2).
    pub is_http2: bool,
}

const HTTP_2: &[u8] = b"h2";

/// What components speak, by preference (RFC 7301, section 6).
fn http_protocols() -> Vec<Vec<u8>> {
    vec![HTTP_2.to_vec(), b"http/1.1".to_vec()]
}

/// What is wrong with a package's materials for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or without what it is for.
    #[error("the package's {0} cannot be read")]
    Malformed(&'static str),
    /// A kind of key that cannot sign without randomness.
    #[error("the package's TLS key is not one of ECDSA on P-256, the only kind that Keeps use")]
    Key,
    /// There is nobody to trust.
    #[error("the package names no authorities, without which no server can be trusted")]
    NoAuthorities,
    /// The TLS library refuses.
    #[error("the package's materials for TLS are not right: {0}")]
    Refused(#[from] rustls::Error),
    /// What clients would be checked with is not right.
    #[error("the package's authorities of clients are not right: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}

/// The identity that the package supplies.
fn supplied(materials: &Materials) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    let (Some(certificates), Some(key)) = (&materials.certificates, &materials.key) else {
        return Ok(None);
    };
    let chain = certificates_in(certificates, "TLS certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key).map(Zeroizing::new);
    let key = key.map_err(|_| TlsError::Malformed("TLS key"))?;
    let key = SigningKeyP256::load(&key).ok_or(TlsError::Key)?;
    let identity = CertifiedKey::new(chain, Arc::new(key));
    identity.keys_match()?;
    Ok(Some(Arc::new(identity)))
}

/// An identity of the Keep's own.
fn issue(settings: &TlsSettings, clock: KeepClock) -> Result<CertifiedKey, TlsError> {
    let key = SigningKeyP256::generate()?;
    let now = clock.now();
    let subject = Subject {
        names: &settings.names,
        from: now.saturating_sub(CLOCK_DIFFERENCE),
        until: now.saturating_add(VALIDITY),
        serial: *random::<16>()?,
    };
    let certificate = certificate::self_signed(&key, &subject);
    Ok(CertifiedKey::new(
        vec![CertificateDer::from(certificate)],
        Arc::new(key),
    ))
}

fn server(
    provider: &Arc<CryptoProvider>,
    identity: Arc<CertifiedKey>,
    materials: &Materials,
    settings: &TlsSettings,
    clock: KeepClock,
) -> Result<ServerConfig, TlsError> {
    let clients: Arc<dyn ClientCertVerifier> = match &materials.client_authorities {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(authorities) => {
            let roots = roots(authorities, "authorities of clients")?;
            let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
            if settings.clients_optional {
                builder.allow_unauthenticated().build()?
            } else {
                builder.build()?
            }
        }
    };
    let builder = ServerConfig::builder_with_details(Arc::clone(provider), time(clock));
    Ok(builder
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
}

fn client(
    provider: &Arc<CryptoProvider>,
    own: Option<Arc<CertifiedKey>>,
    materials: &Materials,
    clock: KeepClock,
) -> Result<ClientConfig, TlsError> {
    let authorities = materials
        .authorities
        .as_ref()
        .ok_or(TlsError::NoAuthorities)?;
    let builder = ClientConfig::builder_with_details(Arc::clone(provider), time(clock))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(authorities, "authorities")?);
    Ok(match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        None => builder.with_no_client_auth(),
    })
}

fn roots(pem: &[u8], what: &'static str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    // Machines have authorities whose certificates are odd; the others count.
    roots.add_parsable_certificates(certificates_in(pem, what)?);
    if roots.is_empty() {
        return Err(TlsError::Malformed(what));
    }
    Ok(Arc::new(roots))
}

fn certificates_in(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::Malformed(what)),
    }
}

fn time(clock: KeepClock) -> Arc<dyn TimeProvider> {
    Arc::new(clock)
}

impl TimeProvider for KeepClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now()))
    }
}
