//! Sockets, as the system makes them.

use std::{io, net::SocketAddr, os::fd::OwnedFd};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, ipproto, listen as start_listening, socket_with,
    sockopt,
};
use tokio::net::TcpListener;

/// Connections that wait in the system.
const BACKLOG: i32 = 1024;

/// A TCP socket that listens on `address`; on all addresses of both versions of the
/// Internet Protocol where that is the unspecified one of the sixth.
///
/// # Errors
///
/// The system's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    start_listening(&socket, BACKLOG)?;
    TcpListener::from_std(socket.into())
}
