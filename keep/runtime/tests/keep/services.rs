//! Components that handle and make HTTP requests by WASI 0.3.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use enarx_wire_package::{Protocol, Transport};
use enarx_wire_provision::Cause;

use crate::{
    http::{HELLO, answer, ask, fetched, rule, serving_preview3, stop, teapot, text},
    sockets::Server,
};

#[test]
fn requests_have_instances_of_their_own() {
    let server = Server::start(&serving_preview3(Protocol::Tcp));
    let mut stream = server.connect();
    assert_eq!(text(ask(&mut stream, "/hello", b"")), (200, HELLO.into()));
    let body: Vec<u8> = (0..1_000_000).map(|index| (index % 251) as u8).collect();
    let (status, echoed) = ask(&mut stream, "/echo", &body);
    assert!(status == 200 && echoed == body);
    assert_eq!(text(ask(&mut stream, "/wait", &body)), (200, "200".into()));
    // One that fails takes nothing with it.
    assert_eq!(ask(&mut stream, "/trap", b"").0, 500);
    // One may go on when its answer was sent.
    assert_eq!(text(ask(&mut stream, "/late", b"")), (200, HELLO.into()));
    assert_eq!(text(ask(&mut stream, "/hello", b"")), (200, HELLO.into()));

    let finished = stop(server);
    assert_eq!(finished.ending().cause, Cause::Stopped);
    assert_eq!(finished.stderr, b"Hello");
    let log = finished.log.join("\n");
    assert!(
        log.contains("a request failed") && log.contains("unreachable"),
        "{log}"
    );
}

/// Asks for `path`, with a request of which the last byte is missing.
fn begin_to_ask(stream: &mut TcpStream, path: &str) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
}

/// Reads up to this text.
fn read_up_to(stream: &mut TcpStream, text: &str) {
    let mut received = Vec::new();
    while !received.ends_with(text.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        received.extend(byte);
    }
}

/// Whether what comes next ends as a body of chunks does. One that is not whole ends with the connection, and
/// whether that is the stream's end or an error does not matter.
fn is_ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest.ends_with(b"0\r\n\r\n")
}

#[test]
fn answers_whose_program_fails_are_not_whole() {
    let server = Server::start(&serving_preview3(Protocol::Tcp));
    let mut stream = server.connect();
    begin_to_ask(&mut stream, "/cut");
    read_up_to(&mut stream, HELLO);
    stream.write_all(b"1").unwrap();
    assert!(!is_ended(&mut stream));
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
}

#[test]
fn requests_whose_program_fails_are_not_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut application = serving_preview3(Protocol::Tcp);
    application.network = Some(rule(Transport::Http, "127.0.0.1", port));
    let authority = format!("127.0.0.1:{port}");
    application.config = vec![("authority", &authority), ("scheme", "http")];
    let server = Server::start(&application);
    let mut stream = server.connect();
    begin_to_ask(&mut stream, "/part");
    let mut peer = listener.accept().unwrap().0;
    read_up_to(&mut peer, "5\r\nHello\r\n");
    stream.write_all(b"1").unwrap();
    assert!(!is_ended(&mut peer));
    assert_eq!(answer(&mut stream).0, 500);
    assert_eq!(stop(server).ending().cause, Cause::Stopped);
}

#[test]
fn answers_that_were_cut_are_not_whole() {
    let tell = |field: &'static str, body: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || teapot(listener.accept().unwrap().0, field, body));
        let rules = Some(rule(Transport::Http, "127.0.0.1", port));
        let authority = format!("127.0.0.1:{port}");
        let status = fetched(
            serving_preview3(Protocol::Tcp),
            &authority,
            true,
            rules,
            None,
        );
        peer.join().unwrap();
        status
    };
    assert_eq!(tell("Content-Length: 5", "whole"), 418);
    assert_ne!(tell("Content-Length: 5", "cut"), 418);
    let chunked = "Transfer-Encoding: chunked";
    assert_eq!(tell(chunked, "5\r\nwhole\r\n0\r\n\r\n"), 418);
    assert_ne!(tell(chunked, "3\r\ncut\r\n"), 418);
}
