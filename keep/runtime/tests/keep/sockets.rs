//! Sockets that a program begins with, and their peers.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::support::{Application, Finished, Keep};
use enarx_wire_hostcall::{
    envelope::Kind,
    lookup::{MAX_ANSWER, Refusal, decode_request, encode_answer},
};
use enarx_wire_package::{
    DescriptorKind, Endpoint, EntryKind, Protocol, TlsSettings, WorkloadKind,
};
use enarx_wire_provision::{Cause, Input, InputWriter, Output, OutputReader, SessionSecret};
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, StreamOwned, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

const IMPORTS: &str = "
    (import \"wasi_snapshot_preview1\" \"sock_accept\" (func $accept (param i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"sock_recv\" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"sock_send\" (func $send (param i32 i32 i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"sock_shutdown\" (func $shutdown (param i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"fd_close\" (func $close (param i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"fd_fdstat_set_flags\" (func $set_flags (param i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"fd_prestat_get\" (func $prestat (param i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
    (memory (export \"memory\") 8)
    (func $must (param $error i32) (if (local.get $error) (then (call $exit (local.get $error)))))
    ;; Sends what `read` put at 65536, `$length` bytes.
    (func $send_all (param $fd i32) (param $length i32) (result i32) (local $sent i32)
        (block $failed (result i32)
            (loop $more
                (if (i32.lt_u (local.get $sent) (local.get $length)) (then
                    (i32.store (i32.const 16) (i32.add (i32.const 65536) (local.get $sent)))
                    (i32.store (i32.const 20) (i32.sub (local.get $length) (local.get $sent)))
                    (if (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24))
                        (then (br $failed (i32.const 1))))
                    (local.set $sent (i32.add (local.get $sent) (i32.load (i32.const 24))))
                    (br $more))))
            (i32.const 0)))
    ;; Sends back what comes, to its end or to an error.
    (func $echo (param $fd i32)
        (block $end (loop $next
            (i32.store (i32.const 0) (i32.const 65536))
            (i32.store (i32.const 4) (i32.const 65536))
            (br_if $end (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $end (i32.eqz (i32.load (i32.const 8))))
            (br_if $end (call $send_all (local.get $fd) (i32.load (i32.const 8))))
            (br $next))))";

/// Sends back what comes, connection after connection, from the listener `descriptor`, until
/// there were `count` of them.
fn echo_server(descriptor: u32, count: u32) -> String {
    format!(
        "(module {IMPORTS}
        (func (export \"_start\") (local $left i32) (local $fd i32)
            (local.set $left (i32.const {count}))
            (loop $next
                (call $must (call $accept (i32.const {descriptor}) (i32.const 0) (i32.const 32)))
                (local.set $fd (i32.load (i32.const 32)))
                (call $echo (local.get $fd))
                (call $must (call $close (local.get $fd)))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $next (local.get $left)))))"
    )
}

fn endpoint(host: &str, port: u16, protocol: Protocol) -> Endpoint {
    Endpoint {
        host: host.into(),
        port,
        protocol,
    }
}

/// An application whose fourth descriptor listens.
fn listening(text: &str, protocol: Protocol) -> Application<'_> {
    let mut application = Application::new(text);
    let endpoint = endpoint("127.0.0.1", 0, protocol);
    (application.descriptors).push((DescriptorKind::Listen(endpoint), "web"));
    application.floor = 1_790_000_000;
    application
}

/// A Keep that listens.
pub struct Server {
    pub keep: Keep,
    pub secret: SessionSecret,
    reader: OutputReader,
    pub address: SocketAddr,
    certificate: Option<Vec<u8>>,
}

impl Server {
    pub fn start(application: &Application<'_>) -> Self {
        let (mut keep, secret) = application.start();
        let mut reader = OutputReader::new(&secret, 0);
        let mut certificate = None;
        let address = loop {
            match keep.next_output(&mut reader) {
                Output::Certificate(der) => certificate = Some(der),
                Output::Log(text) => {
                    let (_, address) = text.split_once(" listens on ").unwrap();
                    break address.parse().unwrap();
                }
                other => panic!("{other:?}"),
            }
        };
        Self {
            keep,
            secret,
            reader,
            address,
            certificate,
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// A client that trusts this Keep's own certificate and no other.
    pub fn trusting(&self) -> Arc<ClientConfig> {
        let certificate = self.certificate.clone().unwrap();
        client(vec![CertificateDer::from(certificate)])
    }

    pub fn finish(self) -> Finished {
        self.keep.finish_from(self.reader)
    }
}

fn client(trusted: Vec<CertificateDer<'static>>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    let provider = CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
        ],
        ..aws_lc_rs::default_provider()
    };
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub fn speak_tls(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

/// Sends, ends, and gives what comes back.
fn echoed(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let sent = bytes.to_vec();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    received
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 31 % 251) as u8).collect()
}

#[test]
fn connections_are_served_in_plaintext_only_when_it_is_asked_for() {
    let text = echo_server(3, 3);
    let server = Server::start(&listening(&text, Protocol::Tcp));
    assert!(server.certificate.is_none());
    let bytes = pattern(3_000_000);
    assert!(echoed(server.connect(), &bytes) == bytes);
    // One that is cut off, and one that says nothing, cost only themselves.
    let stream = server.connect();
    (&stream).write_all(b"half").unwrap();
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(echoed(server.connect(), b""), b"");
    let finished = server.finish();
    assert_eq!(finished.ending().message, "");
    assert_eq!(finished.ending().status, 0);
}

#[test]
fn tls_ends_in_the_keep() {
    let text = echo_server(3, 4);
    let server = Server::start(&listening(&text, Protocol::Tls));
    let config = server.trusting();
    // Whoever does not speak TLS, or not in time, costs nothing but the own connection.
    let mut garbage = server.connect();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer);
    assert!(answer.len() < 16, "an alert at most: {answer:?}");
    let silent = server.connect();

    // Closes without a close_notify, in the middle.
    let mut cut = speak_tls(&config, server.connect());
    cut.write_all(b"half").unwrap();
    let mut half = [0; 4];
    cut.read_exact(&mut half).unwrap();
    cut.sock.shutdown(Shutdown::Both).unwrap();
    drop(cut);

    // Somebody who trusts another certificate notices.
    let other = Server::start(&listening(&text, Protocol::Tls));
    let mut stranger = speak_tls(&other.trusting(), server.connect());
    assert!(
        stranger
            .write_all(b"x")
            .and_then(|()| stranger.flush())
            .is_err()
    );
    drop(stranger);

    let bytes = pattern(500_000);
    for _ in 0..3 {
        let mut stream = speak_tls(&config, server.connect());
        let mut received = vec![0; 50_000];
        for chunk in bytes.chunks(50_000) {
            stream.write_all(chunk).unwrap();
            stream.read_exact(&mut received).unwrap();
            assert!(received == chunk);
        }
        let connection = &stream.conn;
        assert_eq!(
            connection.protocol_version(),
            Some(ProtocolVersion::TLSv1_3)
        );
        let group = connection.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        // Half-closed: the Keep answers with its own end.
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        assert_eq!(stream.read(&mut received).unwrap(), 0);
    }
    drop(silent);
    let finished = server.finish();
    assert_eq!(
        (finished.ending().message.as_str(), finished.ending().status),
        ("", 0)
    );
}

#[test]
fn clients_without_modern_key_exchange_are_served_and_old_tls_is_not() {
    let text = echo_server(3, 1);
    let server = Server::start(&listening(&text, Protocol::Tls));
    let mut roots = RootCertStore::empty();
    let certificate = server.certificate.clone().unwrap();
    roots.add_parsable_certificates([CertificateDer::from(certificate)]);
    let config = |kx_groups, version: &'static SupportedProtocolVersion| {
        let provider = CryptoProvider {
            kx_groups,
            ..aws_lc_rs::default_provider()
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let config = builder.with_root_certificates(roots.clone());
        Arc::new(config.with_no_client_auth())
    };
    let groups = vec![aws_lc_rs::kx_group::X25519];
    let old = config(groups.clone(), &rustls::version::TLS12);
    let mut stream = speak_tls(&old, server.connect());
    assert!(
        stream
            .write_all(b"x")
            .and_then(|()| stream.flush())
            .is_err()
    );

    let classical = config(groups, &rustls::version::TLS13);
    let mut stream = speak_tls(&classical, server.connect());
    stream.write_all(b"hello").unwrap();
    let mut received = [0; 5];
    stream.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"hello");
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(server.finish().ending().status, 0);
}

/// A self-signed certificate for localhost and its key, and a certificate of a client that
/// it is the authority of.
pub const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const PRIVATE_KEY: &str = include_str!("tls/key.pem");

#[test]
fn the_owners_certificate_is_served_and_clients_must_have_one() {
    let text = echo_server(3, 1);
    let mut application = listening(&text, Protocol::Tls);
    application.tls = vec![
        (EntryKind::TlsCertificates, CERTIFICATE.into()),
        (EntryKind::TlsKey, PRIVATE_KEY.into()),
        (EntryKind::TlsClientAuthorities, CERTIFICATE.into()),
    ];
    let server = Server::start(&application);
    assert!(server.certificate.is_none());
    let certificate = || CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let anonymous = client(vec![certificate()]);
    let mut stream = speak_tls(&anonymous, server.connect());
    let mut received = [0; 1];
    let refused = stream
        .write_all(b"x")
        .and_then(|()| stream.read_exact(&mut received));
    assert!(refused.is_err());

    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let known = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate()], key)
        .unwrap();
    let mut stream = speak_tls(&Arc::new(known), server.connect());
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut received).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(server.finish().ending().status, 0);
}

/// Sends "ping" to descriptor 3, and copies what comes to standard output.
fn pinging() -> String {
    format!(
        "(module {IMPORTS}
        (data (i32.const 65536) \"ping\")
        (func (export \"_start\")
            (call $must (call $send_all (i32.const 3) (i32.const 4)))
            (call $must (call $shutdown (i32.const 3) (i32.const 2)))
            (block $end (loop $next
                (i32.store (i32.const 0) (i32.const 65536))
                (i32.store (i32.const 4) (i32.const 100))
                (call $must (call $recv (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 12)))
                (br_if $end (i32.eqz (i32.load (i32.const 8))))
                (call $must (call $send_all (i32.const 1) (i32.load (i32.const 8))))
                (br $next)))))"
    )
}

/// Runs a program that connects to `host`, where this test listens and answers with
/// `serve`; lookups are answered with `found`.
fn connecting(
    endpoint: Endpoint,
    tls: Vec<(EntryKind, Vec<u8>)>,
    found: Result<&[std::net::IpAddr], Refusal>,
) -> Finished {
    let text = pinging();
    let mut application = Application::new(&text);
    application
        .descriptors
        .push((DescriptorKind::Connect(endpoint), "peer"));
    application.tls = tls;
    application.floor = 1_790_000_000;
    let (mut keep, secret) = application.start();
    let mut reader = OutputReader::new(&secret, 0);
    let mut finished = Finished::default();
    while let Some((kind, payload)) = keep.receive() {
        if kind == Kind::Lookup {
            let (number, name) = decode_request(&payload).unwrap();
            assert_eq!(name, "localhost");
            let mut buffer = [0; MAX_ANSWER];
            let answer = encode_answer(number, found, &mut buffer).to_vec();
            keep.send(Kind::Addresses, &answer);
            continue;
        }
        match reader.open(&payload).unwrap() {
            Output::Stdout(bytes) => finished.stdout.extend(bytes),
            Output::End(ending) => finished.ending = Some(ending),
            other => panic!("{other:?}"),
        }
    }
    finished
}

/// A server of [`CERTIFICATE`].
pub fn server_config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

fn own_address() -> Vec<std::net::IpAddr> {
    vec!["127.0.0.1".parse().unwrap()]
}

#[test]
fn programs_connect_to_names_and_addresses() {
    for host in ["127.0.0.1", "localhost"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            stream.write_all(b"pong").unwrap();
            received
        });
        let endpoint = endpoint(host, port, Protocol::Tcp);
        let finished = connecting(endpoint, vec![], Ok(&own_address()));
        assert_eq!(finished.stdout, b"pong", "{:?}", finished.ending);
        assert_eq!(peer.join().unwrap(), b"ping");
    }
}

#[test]
fn an_answer_is_not_stuck_behind_input() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = pinging();
    let mut application = Application::new(&text);
    let peer = endpoint("localhost", port, Protocol::Tcp);
    application
        .descriptors
        .push((DescriptorKind::Connect(peer), "peer"));
    let (mut keep, secret) = application.start();
    let lookup = keep.expect(Kind::Lookup);
    let mut input = InputWriter::new(&secret, 1, [1; 16]);
    for _ in 0..70 {
        let frame = input.frame(&Input::Stdin(vec![0; 30_000])).unwrap();
        keep.send(Kind::Input, &frame);
    }
    let (number, _) = decode_request(&lookup).unwrap();
    let mut buffer = [0; MAX_ANSWER];
    let answer = encode_answer(number, Ok(&own_address()), &mut buffer).to_vec();
    keep.send(Kind::Addresses, &answer);
    let peer = thread::spawn(move || listener.accept().unwrap().0.write_all(b"pong"));
    let finished = keep.finish(&secret);
    assert_eq!(finished.stdout, b"pong", "{:?}", finished.ending);
    peer.join().unwrap().unwrap();
}

#[test]
fn servers_must_be_who_they_are_called() {
    let serve = |listener: TcpListener| {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(server_config()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut received = [0; 4];
        stream.read_exact(&mut received)?;
        stream.write_all(b"pong")?;
        stream.conn.send_close_notify();
        stream.flush()
    };
    let run = |host: &str, authorities: &[u8]| {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || serve(listener));
        let tls = vec![(EntryKind::TlsAuthorities, authorities.to_vec())];
        let endpoint = endpoint(host, port, Protocol::Tls);
        let finished = connecting(endpoint, tls, Ok(&own_address()));
        (finished, peer.join().unwrap())
    };
    let (finished, served) = run("localhost", CERTIFICATE.as_bytes());
    assert_eq!(finished.stdout, b"pong", "{:?}", finished.ending);
    served.unwrap();

    // The right server under a name that it has no certificate for: what a host that lies
    // about addresses would like.
    let (finished, served) = run("127.0.0.2", CERTIFICATE.as_bytes());
    let ending = finished.ending();
    assert_eq!(ending.cause, Cause::Refused);
    assert!(ending.message.contains("certificate"), "{}", ending.message);
    assert!(served.is_err());

    // And one of an authority that the package does not name.
    let other = Server::start(&listening(&echo_server(3, 1), Protocol::Tls));
    let other = to_pem(other.certificate.as_ref().unwrap());
    let (finished, served) = run("localhost", other.as_bytes());
    assert!(finished.ending().message.contains("UnknownIssuer"));
    assert!(served.is_err());
}

fn to_pem(der: &[u8]) -> String {
    // What the runtime reads, written in the simplest way.
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() {
                DIGITS[value] as char
            } else {
                '='
            });
        }
    }
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn what_cannot_be_had_is_said_before_the_program_starts() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let nobody = endpoint("127.0.0.1", port, Protocol::Tcp);
    let refused = connecting(nobody, vec![], Ok(&[]));
    assert_eq!(refused.ending().cause, Cause::Refused);
    assert!(
        refused.ending().message.contains("refused"),
        "{:?}",
        refused.ending
    );

    for (refusal, part) in [
        (Refusal::Unknown, "knows nothing of this name"),
        (Refusal::Denied, "gave it no network"),
    ] {
        let named = endpoint("localhost", port, Protocol::Tcp);
        let refused = connecting(named, vec![], Err(refusal));
        assert!(
            refused.ending().message.contains(part),
            "{:?}",
            refused.ending
        );
    }
    let named = endpoint("127.0.0.1", port, Protocol::Tls);
    let refused = connecting(named, vec![], Ok(&[]));
    assert!(
        refused.ending().message.contains("authorities"),
        "{:?}",
        refused.ending
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = echo_server(3, 1);
    let mut application = listening(&text, Protocol::Tcp);
    let port = taken.local_addr().unwrap().port();
    application.descriptors[3].0 =
        DescriptorKind::Listen(endpoint("127.0.0.1", port, Protocol::Tcp));
    let refused = application.run();
    assert_eq!(refused.ending().cause, Cause::Refused);
    assert!(
        refused.ending().message.contains("in use"),
        "{:?}",
        refused.ending
    );

    let mut application = listening(&text, Protocol::Tls);
    let name = |number| format!("{number}.{}.example", "a".repeat(60));
    application.tls_settings = Some(TlsSettings {
        names: (0..600).map(name).collect(),
        clients_optional: false,
    });
    let refused = application.run();
    assert_eq!(refused.ending().cause, Cause::Refused);
    assert!(
        refused.ending().message.contains("certificate"),
        "{:?}",
        refused.ending
    );

    let mut component = listening("(component)", Protocol::Tcp);
    component.kind = WorkloadKind::Component;
    assert!(component.run().ending().message.contains("only modules"));
}

/// Never waits but in `poll_oneoff`: for a listener and for everybody that it has let in.
const POLLING_SERVER: &str = include_str!("../../../../tests/programs/polling_server.wat");

#[test]
fn a_thousand_connections_are_served_at_once() {
    let server = Server::start(&listening(POLLING_SERVER, Protocol::Tcp));
    let mut streams: Vec<TcpStream> = (0..1000).map(|_| server.connect()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&number.to_le_bytes()).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut received = [0; 8];
        stream.read_exact(&mut received).unwrap();
        assert_eq!(received, number.to_le_bytes());
    }
    drop(streams);
    let finished = server.finish();
    assert_eq!(
        (finished.ending().message.as_str(), finished.ending().status),
        ("", 0)
    );
}

#[test]
fn tls_is_served_without_waiting() {
    let server = Server::start(&listening(POLLING_SERVER, Protocol::Tls));
    let config = server.trusting();
    let mut streams: Vec<_> = (0..20)
        .map(|_| speak_tls(&config, server.connect()))
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&number.to_le_bytes()).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut received = [0; 8];
        stream.read_exact(&mut received).unwrap();
        assert_eq!(received, number.to_le_bytes());
    }
    for stream in &mut streams {
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let ended = stream.read(&mut [0; 8]);
        assert!(ended.is_ok_and(|size| size == 0));
    }
    let finished = server.finish();
    assert_eq!(
        (finished.ending().message.as_str(), finished.ending().status),
        ("", 0)
    );
}

/// Sends to the one connection until it takes no more, says how much that was, and reads
/// standard input to its end.
fn overfilling() -> String {
    format!(
        "(module {IMPORTS}
        (func (export \"_start\") (local $error i32)
            (call $must (call $accept (i32.const 3) (i32.const 4) (i32.const 32)))
            (i32.store (i32.const 16) (i32.const 65536))
            (i32.store (i32.const 20) (i32.const 65536))
            (loop $more
                (local.set $error (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 24)))
                (if (i32.eqz (local.get $error)) (then
                    (i32.store (i32.const 40) (i32.add (i32.load (i32.const 40)) (i32.load (i32.const 24))))
                    (br $more))))
            (if (i32.ne (local.get $error) (i32.const 6)) (then (call $exit (local.get $error))))
            (call $must (call $shutdown (i32.load (i32.const 32)) (i32.const 2)))
            (i32.store (i32.const 16) (i32.const 40))
            (i32.store (i32.const 20) (i32.const 4))
            (call $must (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
            (i32.store (i32.const 0) (i32.const 65536))
            (i32.store (i32.const 4) (i32.const 65536))
            (call $must (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"
    )
}

#[test]
fn what_was_sent_goes_on_its_way_while_the_program_waits_for_something_else() {
    let text = overfilling();
    let mut server = Server::start(&listening(&text, Protocol::Tls));
    let mut stream = speak_tls(&server.trusting(), server.connect());
    stream.conn.complete_io(&mut stream.sock).unwrap();
    let Output::Stdout(size) = server.keep.next_output(&mut server.reader) else {
        panic!("no size");
    };
    let size = u32::from_le_bytes(size.try_into().unwrap());
    assert!(size > 65536, "{size}");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), size as usize);
    let mut input = InputWriter::new(&server.secret, 1, [1; 16]);
    let end = input.frame(&Input::StdinEnd).unwrap();
    server.keep.send(Kind::Input, &end);
    assert_eq!(server.finish().ending().status, 0);
}

#[test]
fn directories_are_found_behind_streams_and_receiving_waits_for_all() {
    let text = format!(
        "(module {IMPORTS}
        (func $kind (param $fd i32) (result i32)
            (call $must (call $prestat (local.get $fd) (i32.const 40)))
            (i32.load8_u (i32.const 40)))
        (func $receive (param $flags i32) (result i32)
            (call $must (call $recv (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (local.get $flags) (i32.const 8) (i32.const 12)))
            (i32.load (i32.const 8)))
        (func (export \"_start\")
            (if (i32.ne (call $kind (i32.const 3)) (i32.const 255)) (then unreachable))
            (if (i32.ne (call $kind (i32.const 4)) (i32.const 255)) (then unreachable))
            (if (i32.ne (call $kind (i32.const 5)) (i32.const 0)) (then unreachable))
            (call $must (call $accept (i32.const 4) (i32.const 0) (i32.const 32)))
            (i32.store (i32.const 0) (i32.const 65536))
            (i32.store (i32.const 4) (i32.const 8))
            (if (i32.ne (call $receive (i32.const 1)) (i32.const 4)) (then unreachable))
            (call $must (call $send_all (i32.const 3) (i32.const 4)))
            (if (i32.ne (call $receive (i32.const 2)) (i32.const 8)) (then unreachable))
            (call $must (call $send_all (i32.const 3) (i32.const 8)))
            (if (i32.ne (call $receive (i32.const 2)) (i32.const 4)) (then unreachable))))"
    );
    let mut application = listening(&text, Protocol::Tcp);
    (application.descriptors).insert(3, (DescriptorKind::Stdout, "log"));
    application.files = vec![("/data", b"x")];
    let mut server = Server::start(&application);
    let mut stream = server.connect();
    for (sent, told) in [("half", "half"), ("ness", "halfness")] {
        stream.write_all(sent.as_bytes()).unwrap();
        let output = server.keep.next_output(&mut server.reader);
        assert_eq!(output, Output::Stdout(told.into()));
    }
    stream.write_all(b"last").unwrap();
    drop(stream);
    let finished = server.finish();
    assert_eq!(finished.ending().status, 0, "{:?}", finished.ending);
}

#[test]
fn half_an_answer_does_not_look_whole() {
    let text = format!(
        "(module {IMPORTS}
        (func (export \"_start\")
            (call $must (call $accept (i32.const 3) (i32.const 0) (i32.const 32)))
            (call $must (call $send_all (i32.load (i32.const 32)) (i32.const 4)))
            unreachable))"
    );
    let server = Server::start(&listening(&text, Protocol::Tls));
    let mut stream = speak_tls(&server.trusting(), server.connect());
    let mut received = Vec::new();
    let cut = stream.read_to_end(&mut received).unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(received.len(), 4);
    assert_eq!(server.finish().ending().cause, Cause::Trapped);
}

#[test]
fn a_host_that_answers_lookups_with_garbage_ends_the_keep() {
    let text = pinging();
    let mut application = Application::new(&text);
    let peer = endpoint("localhost", 9, Protocol::Tcp);
    application
        .descriptors
        .push((DescriptorKind::Connect(peer), "peer"));
    let (mut keep, secret) = application.start();
    keep.expect(Kind::Lookup);
    keep.send(Kind::Addresses, &[1, 2, 3]);
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().cause, Cause::Failed);
    assert!(finished.ending().message.contains("lookup"));
}
