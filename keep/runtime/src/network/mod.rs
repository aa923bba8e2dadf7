//! The program's sockets.
//!
//! They are the host's: it sees addresses, sizes and times, and can end any connection
//! at any time. What it must not see or alter is protected above them.

mod closing;
mod connection;
mod listener;
mod lookup;
mod policy;
mod socket;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use enarx_wire_package::{Endpoint, Protocol};
use tokio::{net::TcpStream, time::timeout};

use crate::tls::Tls;

pub use closing::Closing;
pub use connection::{Connection, Stream};
pub use listener::Listener;
pub use lookup::{Lookup, NameError};
pub use policy::Policy;
pub use socket::listen;

/// How long a peer has for a connection to stand.
const CONNECT_TIME: Duration = Duration::from_secs(20);

/// What sockets are made with.
pub struct Network {
    /// Where the addresses of names come from.
    pub lookup: Lookup,
    /// What protects connections.
    pub tls: Tls,
}

impl Network {
    /// Listens on `endpoint`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] says where, and why not.
    pub fn listen(&self, endpoint: &Endpoint) -> Result<Listener, NetworkError> {
        let failed = |reason| NetworkError::new(Action::Listen, endpoint, reason);
        let host: IpAddr =
            (endpoint.host.parse()).map_err(|_| failed("it is no address".into()))?;
        let tls = match endpoint.protocol {
            Protocol::Tls => Some(self.tls.clone()),
            Protocol::Tcp => None,
        };
        let address = SocketAddr::new(host, endpoint.port);
        Listener::bind(address, tls).map_err(|error| failed(reason(&error)))
    }

    /// Connects to `endpoint`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] says to whom, and why not.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, NetworkError> {
        let failed = |reason| NetworkError::new(Action::Connect, endpoint, reason);
        let dialled = dial(&self.lookup, &endpoint.host, endpoint.port).await;
        let stream = dialled.map_err(|error| failed(error.to_string()))?;
        let stream: Box<dyn Stream> = match endpoint.protocol {
            Protocol::Tcp => Box::new(stream),
            Protocol::Tls => {
                let connected = self.tls.connect(&endpoint.host, stream).await;
                connected.map_err(|error| failed(reason(&error)))?.stream
            }
        };
        Ok(Connection::new(stream, true))
    }
}

/// A TCP connection to the first of a host's addresses that answers.
///
/// # Errors
///
/// [`DialError`] says why there is none.
pub async fn dial(lookup: &Lookup, host: &str, port: u16) -> Result<TcpStream, DialError> {
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => lookup.addresses(host).await?,
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let connected = TcpStream::connect(SocketAddr::new(address, port));
        let connected = timeout(CONNECT_TIME, connected)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(DialError::Connect(last))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host's name has no addresses.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody answers there; the last address's reason.
    #[error("{}", reason(.0))]
    Connect(io::Error),
}

/// Why a socket of the manifest does not exist.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {host} port {port}: {reason}")]
pub struct NetworkError {
    action: Action,
    host: String,
    port: u16,
    reason: String,
}

/// What was to be done.
#[derive(Debug, Clone, Copy)]
enum Action {
    Listen,
    Connect,
}

impl std::fmt::Display for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Listen => "listen on",
            Self::Connect => "connect to",
        })
    }
}

impl NetworkError {
    fn new(action: Action, endpoint: &Endpoint, reason: String) -> Self {
        Self {
            action,
            host: endpoint.host.clone(),
            port: endpoint.port,
            reason,
        }
    }
}

/// Why the system refuses, in words.
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        // A Keep whose host permits no network has no such system call.
        Some(libc::ENOSYS) => "this Keep's host gave it no network".to_owned(),
        _ => error.to_string(),
    }
}
