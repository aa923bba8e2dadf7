//! The service without HTTP, and what is left when all is over: nothing.

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{FakeLauncher, Host, frames, request};
use enarx_host_agent::{BodyError, Limits, Service, http::termination};
use enarx_wire_host_api::EndKind;
use futures_util::stream;
use rustix::process::{Signal, getpid, kill_process};

/// One test, because the descriptors of a process are counted together.
#[test]
fn nothing_is_left_behind() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    runtime().block_on(http_cycle());
    // The fake Keeps' threads end just after their Keeps.
    std::thread::sleep(Duration::from_millis(200));
    let before = descriptors();
    for _ in 0..5 {
        runtime().block_on(http_cycle());
        runtime().block_on(embedded_cycle());
    }
    let launcher = Arc::new(FakeLauncher::default());
    let service = Service::new(launcher.clone(), Limits::embedded());
    let lingering = runtime();
    lingering.block_on(abandon(&service));
    let began = Instant::now();
    drop((lingering, service));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(launcher.living(), 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    while descriptors() != before {
        assert!(Instant::now() < deadline, "{} {before}", descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
    runtime().block_on(signals());
}

/// Leaves a Keep that has closed its channel and does not exit.
async fn abandon(service: &Service) {
    let keep = service.start(request("lingering")).await.unwrap().keep;
    let mut output = service.output(keep.id, 0, true).unwrap();
    assert!(output.next().await.is_none());
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn signals() {
    for signal in [Signal::TERM, Signal::INT] {
        let told = termination().unwrap();
        kill_process(getpid(), signal).unwrap();
        tokio::time::timeout(Duration::from_secs(5), told)
            .await
            .unwrap();
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn http_cycle() {
    let mut host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    let follow = host.output(&keep, 0, true).await;
    host.input(&keep, &[b"a", b"exit"]).await;
    assert_eq!(follow.bytes().await.unwrap(), frames(&[b"package 7", b"a"]));
    for behaviour in ["mute", "garbage", "echo"] {
        host.keep(behaviour).await;
    }
    host.ready_keep("not-reading").await;
    host.stop().await;
    assert_eq!(host.launcher.living(), 0);
    drop(host);
    no_tasks().await;
}

async fn embedded_cycle() {
    let launcher = Arc::new(FakeLauncher::default());
    let service = Service::new(launcher.clone(), Limits::embedded());
    let began = Instant::now();
    let keep = service.start(request("echo")).await.unwrap().keep;
    let started = began.elapsed();
    assert!(started < Duration::from_millis(50), "{started:?}");
    service.offer(keep.id).await.unwrap();
    service.provision(keep.id, "grant".into()).await.unwrap();
    let pieces = [vec![1; 3 << 20], vec![], vec![2; 5]];
    let package = stream::iter(pieces.map(|piece| Ok::<_, BodyError>(Bytes::from(piece))));
    let relayed = service.package(keep.id, None, package).await.unwrap();
    assert_eq!(relayed, (3 << 20) + 5);
    let mut output = service.output(keep.id, 0, true).unwrap();
    assert_eq!(output.next().await.unwrap().unwrap(), "package 3145733");
    for input in ["x", "exit"] {
        service.input(keep.id, input.into()).await.unwrap();
    }
    assert_eq!(output.next().await.unwrap().unwrap(), "x");
    assert!(output.next().await.is_none());
    let end = service.wait(keep.id).await.unwrap().end.unwrap();
    assert_eq!(end.kind, EndKind::Completed);

    // A failing body and a dropped upload both end their Keep.
    let broken = service.start(request("echo")).await.unwrap().keep;
    let dropped = service.start(request("echo")).await.unwrap().keep;
    for keep in [&broken, &dropped] {
        service.offer(keep.id).await.unwrap();
        service.provision(keep.id, "grant".into()).await.unwrap();
    }
    let body = stream::iter([Ok("a".into()), Err(BodyError::Stalled)]);
    assert!(service.package(broken.id, None, body).await.is_err());
    let body = stream::pending::<Result<Bytes, BodyError>>();
    let upload = service.package(dropped.id, None, body);
    assert!(
        tokio::time::timeout(Duration::from_millis(10), upload)
            .await
            .is_err()
    );
    for keep in [&broken, &dropped] {
        let end = service.wait(keep.id).await.unwrap().end.unwrap();
        assert_eq!(end.kind, EndKind::UploadBroken);
    }

    // A start that nobody waits for any more leaves no Keep, and dropping the
    // service ends those that live.
    drop(tokio::time::timeout(Duration::ZERO, service.start(request("echo"))).await);
    service.start(request("mute")).await.unwrap();
    drop(service);
    let deadline = Instant::now() + Duration::from_secs(10);
    while launcher.living() > 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(output);
    no_tasks().await;
}

/// Waits until the runtime has no task but those of connections that end.
async fn no_tasks() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let deadline = Instant::now() + Duration::from_secs(10);
    while metrics.num_alive_tasks() > 0 {
        assert!(Instant::now() < deadline, "{}", metrics.num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
