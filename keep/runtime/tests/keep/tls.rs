//! Components that speak TLS over sockets of their own (`wasi:tls`).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use enarx_wire_package::{EntryKind, Transport};
use rustls::{ServerConnection, StreamOwned};

use crate::{
    components::{SOCKETS, component, peers, rule, sending},
    preview3,
    sockets::{CERTIFICATE, server_config},
    support::Application,
};

/// Answers what the first client sends; gives that, or nothing if there was no handshake.
fn answer(listener: &TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let connection = ServerConnection::new(server_config()).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut received = [0; 4];
    if stream.read_exact(&mut received).is_err() {
        return String::new();
    }
    // Not every program waits for it.
    let _ = stream.write_all(b"pong").and_then(|()| stream.flush());
    String::from_utf8(received.to_vec()).unwrap()
}

/// What a program came to that speaks with the server of `name`, and what the server got.
fn spoken(
    mut application: Application<'static>,
    name: &'static str,
    authorities: Option<&str>,
) -> (u8, String) {
    let (listener, datagrams, port) = peers();
    application.floor = 1_790_000_000;
    application.config = vec![("tls", name)];
    if let Some(pem) = authorities {
        application.tls = vec![(EntryKind::TlsAuthorities, pem.as_bytes().to_vec())];
    }
    let address: SocketAddr = listener.local_addr().unwrap();
    let peer = thread::spawn(move || answer(&listener));
    let rules = [Transport::Tcp, Transport::Udp].map(|way| rule(way, "peer.example", port));
    let text = address.port().to_string();
    let (finished, _) = sending(application, &text, rules.into());
    drop(datagrams);
    (finished.ending().status, peer.join().unwrap())
}

#[test]
fn servers_must_have_certificates_that_the_package_trusts() {
    for make in [|| component(SOCKETS), || preview3::command("x")] {
        let spoken = |name, authorities| spoken(make(), name, authorities);
        let trusted = Some(CERTIFICATE);
        assert_eq!(spoken("localhost", trusted), (0, "ping".into()));
        // The certificate is for another name, or of nobody who is trusted.
        assert_eq!(spoken("other.example", trusted), (1, String::new()));
        assert_eq!(spoken("localhost", None), (1, String::new()));
    }
}
