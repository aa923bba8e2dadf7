//! Connections: slow clients, too many of them, TLS, and the graceful end.

use std::time::{Duration, Instant};

use enarx_host_agent::{
    Limits,
    http::{Access, ServeOptions, TlsError, TlsIdentity},
};
use enarx_wire_host_api::{EndKind, ErrorCode, Operation};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{Host, problem, request};

const CERTIFICATE: &[u8] = include_bytes!("../tls/certificate.pem");
const KEY: &[u8] = include_bytes!("../tls/key.pem");

fn hasty() -> ServeOptions {
    ServeOptions {
        head_time: Duration::from_millis(200),
        body_time: Duration::from_millis(200),
        write_time: Duration::from_millis(200),
        ..ServeOptions::new(Access::Anyone)
    }
}

/// What the host says until it closes the connection.
async fn rest(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let read = client.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_bodies() {
    let host = Host::start_with(Limits::default(), hasty()).await;
    // Nothing at all, half a head, and nothing after an answer.
    for bytes in [
        &b""[..],
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        let began = Instant::now();
        let mut client = TcpStream::connect(host.address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        rest(&mut client).await;
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    let keep = host.ready_keep("echo").await;
    for (operation, code) in [(Operation::Start, "408"), (Operation::Package, "408")] {
        let mut client = TcpStream::connect(host.address).await.unwrap();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncontent-length: 9\r\n\r\n1",
            operation.method().as_str(),
            operation.path_for(keep.id),
            operation.request_media_type().unwrap(),
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        assert!(answer.contains("request-timeout"));
    }
    let end = host.service.wait(keep.id).await.unwrap().end.unwrap();
    assert_eq!(end.kind, EndKind::UploadBroken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_does_not_read() {
    let limits = Limits {
        output_bytes: 20_000,
        reader_time: Some(Duration::from_millis(200)),
        ..Limits::default()
    };
    let host = Host::start_with(limits, hasty()).await;
    let keep = host.running_keep().await;
    let mut client = TcpStream::connect(host.address).await.unwrap();
    let path = Operation::Output.path_for(keep.id);
    let head = format!("GET {path}?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    // Far more than the sockets hold between here and there.
    for _ in 0..20 {
        host.input(&keep, &[b"flood"]).await;
    }
    host.input(&keep, &[b"exit"]).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), host.service.wait(keep.id)).await;
    assert_eq!(
        ended.unwrap().unwrap().end.unwrap().kind,
        EndKind::Completed
    );
    // Its connection is given up, and so is the idle one of the test's client.
    let closed = async {
        while !host
            .service
            .metrics()
            .contains("enarx_host_connections 0\n")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_head() {
    let host = Host::start(Limits::default()).await;
    let mut client = TcpStream::connect(host.address).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_uploads_still_get_their_answer() {
    let host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    for _ in 0..5 {
        let package = host.ask(Operation::Package, &keep).body(vec![0; 64 << 20]);
        let answer = problem(package.send().await.unwrap()).await;
        assert_eq!(answer.code, ErrorCode::WrongState);
        // The next request does not run into the end of that connection.
        host.keep("echo").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections() {
    let options = ServeOptions {
        connections: 2,
        ..ServeOptions::new(Access::Anyone)
    };
    let host = Host::start_with(Limits::default(), options).await;
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(TcpStream::connect(host.address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = TcpStream::connect(host.address).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(
        host.service
            .metrics()
            .contains("enarx_host_connections_refused_total 1\n")
    );
    for client in &mut open {
        client.write_all(ask).await.unwrap();
        assert!(rest(client).await.starts_with("HTTP/1.1 200"));
    }
    drop(open);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut fourth = TcpStream::connect(host.address).await.unwrap();
    fourth.write_all(ask).await.unwrap();
    assert!(rest(&mut fourth).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls() {
    let identity = TlsIdentity::from_pem(CERTIFICATE, KEY).unwrap();
    let options = ServeOptions {
        tls: Some(identity),
        ..ServeOptions::new(Access::Anyone)
    };
    let host = Host::start_with(Limits::default(), options).await;
    let trusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(CERTIFICATE).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/healthz", host.address.port());
    let answer = trusting.get(&url).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok\n");
    assert!(host.client.get(&url).send().await.is_err());
    assert!(host.client.get(host.url("/healthz")).send().await.is_err());

    let error = |certificate, key| TlsIdentity::from_pem(certificate, key).err().unwrap();
    assert!(matches!(error(b"", KEY), TlsError::Certificates(_)));
    assert!(matches!(error(CERTIFICATE, b"x"), TlsError::Key(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graceful_end() {
    let mut host = Host::start(Limits::default()).await;
    let running = host.running_keep().await;
    let loading = host.ready_keep("echo").await;
    let mute = host.keep("mute").await;
    let follow = host.output(&running, 0, true).await;
    let waiting = tokio::spawn(host.ask(Operation::Offer, &mute).send());
    tokio::time::sleep(Duration::from_millis(50)).await;

    let began = Instant::now();
    host.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(host.launcher.living(), 0);
    // Open requests got their answers to the end.
    assert_eq!(follow.bytes().await.unwrap().len(), "package 7".len() + 4);
    let waited = problem(waiting.await.unwrap().unwrap()).await;
    assert_eq!(waited.end.unwrap().kind, EndKind::HostShutdown);
    let end = host.service.inspect(loading.id).unwrap().end.unwrap();
    assert_eq!(end.kind, EndKind::HostShutdown);

    assert!(TcpStream::connect(host.address).await.is_err());
    let refused = host.service.start(request("echo")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ShuttingDown);
}
