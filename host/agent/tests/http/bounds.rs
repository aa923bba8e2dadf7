//! What a host bounds: Keeps, memory, packages, output, what it remembers.

use std::time::Duration;

use enarx_host_agent::Limits;
use enarx_wire_host_api::{EndKind, ErrorCode, KeepState, Operation, StartRequest};
use futures_util::stream;

use crate::common::{Host, problem, request};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_and_their_memory() {
    let limits = Limits {
        keeps: 2,
        memory_bytes_per_keep: 1 << 20,
        memory_bytes_total: 3 << 19,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let start = async |memory_bytes| {
        let request = StartRequest {
            memory_bytes,
            ..request("echo")
        };
        host.try_keep(&request).await
    };
    let refused = async |memory_bytes| problem(start(memory_bytes).await).await.code;
    assert_eq!(refused(2 << 20).await, ErrorCode::MemoryOverLimit);
    let first = host.keep("echo").await;
    assert_eq!(refused(1 << 20).await, ErrorCode::MemoryExhausted);
    assert_eq!(start(4096).await.status(), 201);
    let third = start(4096).await;
    assert!(third.headers().contains_key("retry-after"));
    assert_eq!(problem(third).await.code, ErrorCode::TooManyKeeps);
    host.service.stop(first.id).await.unwrap();
    // Room is made just after the end is known.
    while start(1 << 20).await.status() != 201 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packages() {
    let limits = Limits {
        package_bytes: 1_000_000,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let keep = host.ready_keep("echo").await;
    let announced = host.ask(Operation::Package, &keep).body(vec![0; 1_000_001]);
    let refused = problem(announced.send().await.unwrap()).await;
    assert_eq!(refused.code, ErrorCode::PackageTooLarge);
    assert_eq!(host.inspect(&keep).await.state, KeepState::Provisioned);
    let full = host.ask(Operation::Package, &keep).body(vec![0; 1_000_000]);
    assert_eq!(full.send().await.unwrap().status(), 204);

    let keep = host.ready_keep("echo").await;
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 9_999]));
    let unannounced = host.ask(Operation::Package, &keep);
    let unannounced = unannounced.body(reqwest::Body::wrap_stream(endless));
    let refused = problem(unannounced.send().await.unwrap()).await;
    assert_eq!(refused.code, ErrorCode::PackageTooLarge);
    let end = host.service.wait(keep.id).await.unwrap().end.unwrap();
    assert_eq!(end.kind, EndKind::UploadBroken);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_a_reader() {
    let limits = Limits {
        output_bytes: 20_000,
        // None comes, however long it is waited for.
        reader_time: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let keep = host.running_keep().await;
    host.input(&keep, &[b"flood", b"exit"]).await;
    let ended = host.service.wait(keep.id).await.unwrap();
    assert_eq!(ended.output_frames, 1001);
    // 18 frames of 1000 bytes, each with its overhead, fit 20 000 bytes.
    assert_eq!(ended.output_first_frame, 1001 - 18);

    let output = host.output(&keep, 5, false).await;
    assert_eq!(output.headers()["enarx-first-frame"], "983");
    assert_eq!(output.bytes().await.unwrap().len(), 18 * 1004);
    let metrics = host.service.metrics();
    assert!(metrics.contains("enarx_host_output_dropped_frames_total 983\n"));
    assert!(metrics.contains("enarx_host_output_frames_total 1001\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_with_a_reader_is_whole() {
    let limits = Limits {
        output_bytes: 20_000,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let keep = host.running_keep().await;
    let mut follow = host.output(&keep, 0, true).await;
    host.input(&keep, &[b"flood", b"exit"]).await;
    let mut bytes = 0;
    while let Some(piece) = follow.chunk().await.unwrap() {
        bytes += piece.len();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(bytes, 1000 * 1004 + "package 7".len() + 4);
    assert!(
        host.service
            .metrics()
            .contains("output_dropped_frames_total 9")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_keeps_are_forgotten() {
    let limits = Limits {
        ended_keeps: 2,
        retention_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let mut started = Vec::new();
    for _ in 0..4 {
        let keep = host.keep("echo").await;
        host.service.stop(keep.id).await.unwrap();
        started.push(keep.id);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let listed: Vec<_> = host
        .service
        .list()
        .keeps
        .iter()
        .map(|keep| keep.id)
        .collect();
    assert_eq!(listed, started[2..]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(host.service.list().keeps.is_empty());
}
