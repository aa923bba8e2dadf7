//! Components that handle and make HTTP requests.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use crate::{
    sockets::{CERTIFICATE, Server, server_config, speak_tls},
    support::{Application, Finished},
};
use enarx_wire_hostcall::envelope::Kind;
use enarx_wire_package::{
    Endpoint, EntryKind, HttpServer, Limits, NetworkRule, NetworkRules, Protocol, Transport,
    WorkloadKind,
};
use enarx_wire_provision::{Cause, Input, InputWriter};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ServerConnection, StreamOwned, pki_types::ServerName};

/// Answer as their own texts say, by WASI 0.2 and 0.3.
static SERVICES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let texts = [
        include_str!("components/http.wat"),
        include_str!("components/service.wat"),
    ];
    let error_code = include_str!("components/error-code.wat");
    texts.map(|text| text.replace(";; error-code.wat", error_code))
});

/// An application that serves requests.
pub fn serving(protocol: Protocol) -> Application<'static> {
    let mut application = Application::new(&SERVICES[0]);
    application.kind = WorkloadKind::Component;
    application.http = Some(HttpServer {
        endpoint: Endpoint {
            host: "127.0.0.1".into(),
            port: 0,
            protocol,
        },
        requests: 8,
        request_milliseconds: 60_000,
    });
    application.floor = 1_790_000_000;
    application
}

/// One that does so by WASI 0.3.
pub fn serving_preview3(protocol: Protocol) -> Application<'static> {
    let mut application = serving(protocol);
    application.text = &SERVICES[1];
    application.preview3 = true;
    application
}

pub fn rule(transport: Transport, host: &str, port: u16) -> NetworkRules {
    NetworkRules {
        connect: vec![NetworkRule {
            transport,
            host: Some(host.into()),
            port: Some(port),
        }],
        listen: vec![],
    }
}

/// Sends a request, and gives status and body of the answer.
pub fn ask(
    stream: &mut (impl std::io::Read + std::io::Write),
    path: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    answer(stream)
}

/// The next answer: its status, and its body without the marks of chunks.
pub fn answer(stream: &mut impl std::io::Read) -> (u16, Vec<u8>) {
    let line = |stream: &mut dyn std::io::Read| {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    };
    let status = line(stream).split(' ').nth(1).unwrap().parse().unwrap();
    let (mut chunked, mut length) = (false, 0);
    loop {
        let header = line(stream).to_ascii_lowercase();
        chunked |= header == "transfer-encoding: chunked";
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let mut more = chunked;
    while more {
        let size = usize::from_str_radix(&line(stream), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).unwrap();
        body.extend(&chunk[..size]);
        more = size > 0;
    }
    (status, body)
}

pub fn text((status, body): (u16, Vec<u8>)) -> (u16, String) {
    (status, String::from_utf8(body).unwrap())
}

pub const HELLO: &str = "Hello from a Keep!\n";

pub fn stop(mut server: Server) -> Finished {
    let frame = InputWriter::new(&server.secret, 1, [1; 16]).frame(&Input::Stop);
    server.keep.send(Kind::Input, &frame.unwrap());
    server.finish()
}

#[test]
fn requests_have_instances_of_their_own() {
    let mut application = serving(Protocol::Tcp);
    application.limits = Limits {
        memory_bytes: Some(16 << 20),
        ..Limits::default()
    };
    let server = Server::start(&application);
    let mut stream = server.connect();
    assert_eq!(text(ask(&mut stream, "/hello", b"")), (200, HELLO.into()));
    let body: Vec<u8> = (0..1_000_000).map(|index| (index % 251) as u8).collect();
    let (status, echoed) = ask(&mut stream, "/echo", &body);
    assert!(status == 200 && echoed == body);
    // What they share is in wasi:keyvalue.
    for number in 1..=3 {
        let counted = text(ask(&mut stream, "/count", b""));
        assert_eq!(counted, (200, number.to_string()));
    }
    // One that fails takes nothing with it.
    assert_eq!(ask(&mut stream, "/trap", b"").0, 500);
    assert_eq!(ask(&mut stream, "/memory", b"").0, 500);
    assert_eq!(text(ask(&mut stream, "/count", b"")), (200, "4".into()));

    let finished = stop(server);
    assert_eq!(finished.ending().cause, Cause::Stopped);
    let log = finished.log.join("\n");
    assert!(
        log.contains("a request failed") && log.contains("unreachable"),
        "{log}"
    );
    assert!(log.contains("over its limit of memory"), "{log}");
}

#[test]
fn a_client_costs_its_own_connection_at_worst() {
    let mut application = serving(Protocol::Tcp);
    let http = application.http.as_mut().unwrap();
    (http.requests, http.request_milliseconds) = (1, 500);
    let server = Server::start(&application);
    // One that says nothing, one that stops in the middle, and one that talks nonsense.
    let silent = server.connect();
    let mut halfway = server.connect();
    halfway.write_all(b"GET /hello HT").unwrap();
    let mut nonsense = server.connect();
    nonsense.write_all(&[0x16; 100_000]).unwrap();
    let mut nameless = server.connect();
    nameless.write_all(b"GET /hello HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(answer(&mut nameless).0, 400);
    // One that resets its connection in the middle of a request.
    let mut reset = server.connect();
    reset
        .write_all(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1")
        .unwrap();
    rustix::net::sockopt::set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
    drop(reset);
    // One whose request never ends has its instance taken, and the next one gets it.
    let mut endless = server.connect();
    endless
        .write_all(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1")
        .unwrap();
    assert_eq!(answer(&mut endless).0, 504);
    assert_eq!(
        text(ask(&mut server.connect(), "/hello", b"")),
        (200, HELLO.into())
    );
    drop((silent, halfway, nonsense));
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
}

#[test]
fn a_thousand_clients_are_served_at_once() {
    let server = Server::start(&serving(Protocol::Tcp));
    let mut streams: Vec<TcpStream> = (0..1000).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream
            .write_all(b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
    }
    let mut numbers: Vec<u32> = (streams.iter_mut())
        .map(|stream| text(answer(stream)).1.parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=1000));
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
}

#[test]
fn tls_ends_in_the_keep_with_both_versions_of_http() {
    for service in [serving, serving_preview3] {
        tls_of_this_one_does(&service(Protocol::Tls));
    }
}

fn tls_of_this_one_does(application: &Application<'_>) {
    let server = Server::start(application);
    let config = server.trusting();
    let mut stream = speak_tls(&config, server.connect());
    assert_eq!(text(ask(&mut stream, "/hello", b"")), (200, HELLO.into()));

    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            // It does not guess how many requests at a time there may be.
            .initial_max_send_streams(1)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let answers = (0..50).map(|number| {
            let mut sender = sender.clone();
            async move {
                let body = Full::new(Bytes::from(vec![number; 100_000]));
                let request = Request::post("https://localhost/echo").body(body).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.status(), 200);
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(body == vec![number; 100_000]);
            }
        });
        let mut tasks = tokio::task::JoinSet::new();
        answers.for_each(|answer| drop(tasks.spawn(answer)));
        tasks.join_all().await;
    });
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
}

#[test]
fn stopping_leaves_requests_time_for_their_end() {
    for service in [serving, serving_preview3] {
        stopping_leaves_this_one_time(&service(Protocol::Tcp));
    }
}

fn stopping_leaves_this_one_time(application: &Application<'_>) {
    let server = Server::start(application);
    let mut stream = server.connect();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        .unwrap();
    stream.write_all(b"12345").unwrap();
    // Its answer has begun.
    let mut began = [0; 12];
    stream.read_exact(&mut began).unwrap();
    assert_eq!(&began, b"HTTP/1.1 200");
    let address = server.address;
    let stopping = thread::spawn(move || stop(server));
    // Nobody new is let in any more.
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
    stream.write_all(b"67890").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    let rest = rest.strip_suffix("\r\n0\r\n\r\n").unwrap_or(&rest);
    assert!(rest.ends_with("67890"), "{rest}");
    assert_eq!(stopping.join().unwrap().ending().cause, Cause::Stopped);
}

/// What the component of `application` is told about the request that it makes to `authority`.
pub fn fetched<'a>(
    mut application: Application<'a>,
    authority: &'a str,
    plain: bool,
    rules: Option<NetworkRules>,
    authorities: Option<&str>,
) -> u32 {
    application.network = rules;
    application.config = vec![("authority", authority)];
    if plain {
        application.config.push(("scheme", "http"));
    }
    if let Some(pem) = authorities {
        application.tls = vec![(EntryKind::TlsAuthorities, pem.as_bytes().to_vec())];
    }
    let mut server = Server::start(&application);
    let mut stream = server.connect();
    stream
        .write_all(b"GET /fetch HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    if authority.starts_with("localhost") {
        let request = server.keep.expect(Kind::Lookup);
        server.keep.answer_lookup(&request, &["127.0.0.1"]);
    }
    let (status, number) = text(answer(&mut stream));
    assert_eq!(status, 200);
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
    number.parse().unwrap()
}

/// Answers one request with this field and this body; gives its head.
pub fn teapot(mut stream: impl std::io::Read + std::io::Write, field: &str, body: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return String::new();
        }
        head.extend(byte);
    }
    let answer = format!("HTTP/1.1 418 I'm a teapot\r\n{field}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).unwrap();
    stream.flush().unwrap();
    String::from_utf8(head).unwrap()
}

/// Of a body without bytes.
const EMPTY: &str = "Content-Length: 0";

/// `error-code` of wasi:http: the places of these in the variant.
const DENIED: u32 = 15;
const REFUSED: u32 = 6;
const CERTIFICATE_ERROR: u32 = 13;

#[test]
fn requests_go_where_the_package_allows_and_no_further() {
    for service in [serving, serving_preview3] {
        requests_of_this_one_do(service);
    }
}

fn requests_of_this_one_do(service: fn(Protocol) -> Application<'static>) {
    let fetched = |authority: &str, plain, rules, authorities| {
        fetched(service(Protocol::Tcp), authority, plain, rules, authorities)
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = format!("127.0.0.1:{port}");
    let allowed = |transport| Some(rule(transport, "127.0.0.1", port));
    assert_eq!(fetched(&authority, true, None, None), DENIED);
    // Plaintext was not allowed, and neither was another port.
    let pem = Some(CERTIFICATE);
    assert_eq!(
        fetched(&authority, true, allowed(Transport::Https), pem),
        DENIED
    );
    let other = rule(Transport::Http, "127.0.0.1", port ^ 1);
    assert_eq!(fetched(&authority, true, Some(other), None), DENIED);

    let peer = thread::spawn(move || teapot(listener.accept().unwrap().0, EMPTY, ""));
    assert_eq!(
        fetched(&authority, true, allowed(Transport::Http), None),
        418
    );
    let head = peer.join().unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {authority}\r\n")), "{head}");
    // Nobody listens there any more.
    assert_eq!(
        fetched(&authority, true, allowed(Transport::Http), None),
        REFUSED
    );
}

#[test]
fn servers_of_requests_must_have_certificates_that_the_package_trusts() {
    let run = |service: fn(Protocol) -> _, authority: &dyn Fn(u16) -> (String, &'static str)| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(server_config()).unwrap();
            teapot(StreamOwned::new(connection, stream), EMPTY, "")
        });
        let (authority, host) = authority(port);
        let rules = Some(rule(Transport::Https, host, port));
        let application = service(Protocol::Tcp);
        let status = fetched(application, &authority, false, rules, Some(CERTIFICATE));
        peer.join().unwrap();
        status
    };
    for service in [serving, serving_preview3] {
        let status = run(service, &|port| (format!("localhost:{port}"), "localhost"));
        assert_eq!(status, 418);
        // The certificate is for another name than the address.
        let status = run(service, &|port| (format!("127.0.0.1:{port}"), "127.0.0.1"));
        assert_eq!(status, CERTIFICATE_ERROR);
    }
}

#[test]
fn what_cannot_be_served_is_said_before_anything_starts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut application = serving(Protocol::Tcp);
    application.http.as_mut().unwrap().endpoint.port = listener.local_addr().unwrap().port();
    let finished = application.run();
    let ending = finished.ending();
    assert_eq!(ending.cause, Cause::Refused);
    assert!(ending.message.contains("in use"), "{}", ending.message);

    let mut application = serving(Protocol::Tcp);
    application.text = "(component)";
    let finished = application.run();
    let ending = finished.ending();
    assert_eq!(ending.cause, Cause::Refused);
    assert!(
        ending.message.contains("incoming-handler"),
        "{}",
        ending.message
    );
}
