//! Keeps that end, and clients that go away, in every stage.

use std::time::Duration;

use enarx_host_agent::Limits;
use enarx_wire_host_api::{EndKind, ErrorCode, KeepInfo, KeepState, Operation};
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{Host, problem};

async fn end_of(host: &Host, keep: &KeepInfo) -> enarx_wire_host_api::KeepEnd {
    let ended = tokio::time::timeout(Duration::from_secs(20), host.service.wait(keep.id));
    ended.await.unwrap().unwrap().end.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_that_refuses_its_grant() {
    let host = Host::start(Limits::default()).await;
    let keep = host.keep("refusing").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    let grant = host.ask(Operation::Provision, &keep).body("grant");
    let problem = problem(grant.send().await.unwrap()).await;
    assert_eq!(problem.code, ErrorCode::KeepFailed);
    let end = problem.end.unwrap();
    assert_eq!((end.kind, end.failure_code), (EndKind::Failed, Some(2)));
    assert_eq!(end.diagnostics.as_deref(), Some("last\u{fffd}[31m words"));
    assert!(problem.detail.contains("grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_that_die() {
    let host = Host::start(Limits::default()).await;
    let keep = host.keep("dying").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    let grant = host.ask(Operation::Provision, &keep).body("grant");
    let answer = problem(grant.send().await.unwrap()).await;
    assert_eq!(answer.code, ErrorCode::KeepFailed);
    assert_eq!(answer.end.unwrap().kind, EndKind::Died);
    assert!(answer.detail.contains("exited with status 1"));

    let keep = host.ready_keep("dying-loading").await;
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 100_000]));
    let package = host.ask(Operation::Package, &keep);
    let package = package.body(reqwest::Body::wrap_stream(endless));
    let answer = problem(package.send().await.unwrap()).await;
    assert_eq!(answer.code, ErrorCode::KeepFailed);
    assert_eq!(answer.end.unwrap().failure_code, Some(3));

    let keep = host.running_keep().await;
    let follow = host.service.output(keep.id, 0, true).unwrap();
    host.input(&keep, &[b"crash"]).await;
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::Died);
    assert_eq!(stream::StreamExt::count(follow.into_stream()).await, 1);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_that_misbehave() {
    let host = Host::start(Limits::default()).await;
    for (behaviour, word) in [
        ("garbage", "unknown envelope kind 255"),
        ("early-output", "Output is not due while it is offered"),
    ] {
        let keep = host.keep(behaviour).await;
        let end = end_of(&host, &keep).await;
        assert_eq!(end.kind, EndKind::Misbehaved);
        assert!(end.detail.contains(word), "{}", end.detail);
    }
    // Its grant is opened and its end follows at once: the client learns of either.
    let keep = host.keep("twice-offering").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    let grant = host.ask(Operation::Provision, &keep).body("grant");
    let status = grant.send().await.unwrap().status().as_u16();
    assert!([204, 502].contains(&status), "{status}");
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::Misbehaved);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_that_takes_no_answers() {
    let host = Host::start(Limits::default()).await;
    let keep = host.ready_keep("asking").await;
    let package = host.ask(Operation::Package, &keep).body("package");
    package.send().await.unwrap();
    let end = end_of(&host, &keep).await;
    assert_eq!(end.kind, EndKind::Misbehaved);
    assert!(end.detail.contains("lookups"), "{}", end.detail);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_that_never_answers() {
    let limits = Limits {
        answer_time: Duration::from_millis(150),
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let keep = host.keep("mute").await;
    let offer = host.ask(Operation::Offer, &keep).send().await.unwrap();
    let problem = problem(offer).await;
    assert_eq!(problem.code, ErrorCode::KeepFailed);
    assert_eq!(problem.end.unwrap().kind, EndKind::Unresponsive);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_who_do_not_go_on() {
    let limits = Limits {
        idle_time: Some(Duration::from_millis(200)),
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let keep = host.keep("echo").await;
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::Expired);
    let keep = host.ready_keep("echo").await;
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::Expired);

    // A Keep that does not take its package: nothing goes on either.
    let keep = host.ready_keep("not-reading").await;
    let package = host.ask(Operation::Package, &keep).body(vec![0; 8 << 20]);
    let problem = problem(package.send().await.unwrap()).await;
    assert_eq!(problem.code, ErrorCode::KeepFailed);
    assert_eq!(problem.end.unwrap().kind, EndKind::Expired);

    let keep = host.running_keep().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(host.inspect(&keep).await.state, KeepState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_while_it_uploads() {
    let host = Host::start(Limits::default()).await;
    let keep = host.ready_keep("echo").await;
    let head = raw_head(Operation::Package, &keep, "content-length: 1000000");
    let mut client = TcpStream::connect(host.address).await.unwrap();
    client.write_all(&head).await.unwrap();
    client.write_all(&[0; 1000]).await.unwrap();
    while host.inspect(&keep).await.package_bytes < 1000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(host.inspect(&keep).await.state, KeepState::Loading);
    drop(client);
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::UploadBroken);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_go_away_otherwise_change_nothing() {
    let host = Host::start(Limits::default()).await;
    // While the grant is on its way: it never reached the Keep.
    let keep = host.keep("echo").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    let head = raw_head(Operation::Provision, &keep, "content-length: 5");
    let mut client = TcpStream::connect(host.address).await.unwrap();
    client.write_all(&head).await.unwrap();
    client.write_all(b"gra").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.inspect(&keep).await.state, KeepState::Offered);

    // While it waits for an offer.
    let keep = host.keep("mute").await;
    let wait = host
        .ask(Operation::Offer, &keep)
        .timeout(Duration::from_millis(50));
    assert!(wait.send().await.unwrap_err().is_timeout());
    assert_eq!(host.inspect(&keep).await.state, KeepState::Started);

    // While it follows the output, and in the middle of a frame of input.
    let keep = host.running_keep().await;
    drop(host.output(&keep, 0, true).await);
    let head = raw_head(Operation::Input, &keep, "transfer-encoding: chunked");
    let mut client = TcpStream::connect(host.address).await.unwrap();
    client.write_all(&head).await.unwrap();
    client.write_all(b"6\r\n\x0a\0\0\0ab\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    host.input(&keep, &[b"exit"]).await;
    assert_eq!(end_of(&host, &keep).await.kind, EndKind::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_body_of_input_ends_with_the_keep() {
    let host = Host::start(Limits::default()).await;
    for (piece, status, word) in [
        (&b"8\r\n\x04\0\0\0exit\r\n"[..], "204", "connection: close"),
        (b"9\r\n\x05\0\0\0crash\r\n", "409", "keep-ended"),
    ] {
        let keep = host.running_keep().await;
        let head = raw_head(Operation::Input, &keep, "transfer-encoding: chunked");
        let mut client = TcpStream::connect(host.address).await.unwrap();
        client.write_all(&head).await.unwrap();
        client.write_all(piece).await.unwrap();
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(10), read);
        read.await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(word), "{answer}");
    }
}

fn raw_head(operation: Operation, keep: &KeepInfo, length: &str) -> Vec<u8> {
    format!(
        "{} {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\n{length}\r\n\r\n",
        operation.method().as_str(),
        operation.path_for(keep.id),
        operation.request_media_type().unwrap(),
    )
    .into_bytes()
}
