//! The program's sockets.
//!
//! They are the host's: it sees addresses, sizes and times, and can end any connection
//! at any time. What it must not see or alter is protected above them.

mod closing;
mod connection;
mod listener;
mod lookup;
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
pub use lookup::Lookup;

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
        let stream = dial(endpoint, &self.lookup).await.map_err(failed)?;
        let stream: Box<dyn Stream> = match endpoint.protocol {
            Protocol::Tcp => Box::new(stream),
            Protocol::Tls => {
                let stream = self.tls.connect(&endpoint.host, stream).await;
                stream.map_err(|error| failed(reason(&error)))?
            }
        };
        Ok(Connection::new(stream, true))
    }
}

/// A TCP connection to the first of an endpoint's addresses that answers; or why there
/// is none.
async fn dial(endpoint: &Endpoint, lookup: &Lookup) -> Result<TcpStream, String> {
    let addresses = match endpoint.host.parse() {
        Ok(address) => vec![address],
        Err(_) => lookup
            .addresses(&endpoint.host)
            .await
            .map_err(|error| error.to_string())?,
    };
    let mut last = String::new();
    for address in addresses {
        let connected = TcpStream::connect(SocketAddr::new(address, endpoint.port));
        let connected = timeout(CONNECT_TIME, connected)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = reason(&error),
        }
    }
    Err(last)
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

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        // A Keep whose host permits no network has no such system call.
        Some(libc::ENOSYS) => "this Keep's host gave it no network".to_owned(),
        _ => error.to_string(),
    }
}
