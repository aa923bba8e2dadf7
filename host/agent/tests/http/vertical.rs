//! A Keep from its start to its end.

use enarx_host_agent::Limits;
use enarx_wire_host_api::{
    EndKind, HostInfo, KeepInfo, KeepList, KeepState, OfferResponse, Operation, StartedKeep,
};
use futures_util::stream;

use crate::common::{Host, NONCE, frames, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_from_start_to_end() {
    let mut host = Host::start(Limits::default()).await;

    let answer = host.try_keep(&request("echo")).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["x-request-id"].len(), 16);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let started: StartedKeep = answer.json().await.unwrap();
    assert_eq!(started.endorsements[0].bytes, [1, 2, 3]);
    let keep = started.keep;
    assert_eq!(location, Operation::Inspect.path_for(keep.id));
    assert_eq!(keep.name.as_deref(), Some("test"));
    assert!(keep.simulated);
    assert!(keep.started_at.ends_with('Z') && keep.started_at.len() == 24);

    for _ in 0..2 {
        let answer = host.ask(Operation::Offer, &keep).send().await.unwrap();
        let offer: OfferResponse = answer.json().await.unwrap();
        assert_eq!(offer.offer, NONCE);
    }
    assert_eq!(host.inspect(&keep).await.state, KeepState::Offered);

    let grant = host.ask(Operation::Provision, &keep).body("grant");
    assert_eq!(grant.send().await.unwrap().status(), 204);
    assert_eq!(host.inspect(&keep).await.state, KeepState::Provisioned);

    let pieces = [1, 100, 3 << 20, 77].map(|size| Ok::<_, std::io::Error>(vec![7; size]));
    let package = reqwest::Body::wrap_stream(stream::iter(pieces));
    let package = host.ask(Operation::Package, &keep).body(package);
    assert_eq!(package.send().await.unwrap().status(), 204);
    let info = host.inspect(&keep).await;
    assert_eq!(info.state, KeepState::Running);
    assert_eq!(info.package_bytes, (3 << 20) + 178);

    let follow = host.output(&keep, 0, true).await;
    assert_eq!(follow.headers()["enarx-first-frame"], "0");
    let big = vec![9; 1 << 20];
    host.input(&keep, &[b"one", &big]).await;
    host.input(&keep, &[b"two", b"exit"]).await;
    let package: &[u8] = b"package 3145906";
    assert_eq!(
        follow.bytes().await.unwrap(),
        frames(&[package, b"one", &big, b"two"])
    );

    let ended = host.service.wait(keep.id).await.unwrap();
    assert_eq!(ended, host.inspect(&keep).await);
    assert_eq!(ended.end.unwrap().kind, EndKind::Completed);
    assert!(ended.ended_at.unwrap() >= ended.started_at);
    assert_eq!((ended.input_frames, ended.output_frames), (4, 4));
    assert_eq!(ended.input_bytes, (1 << 20) + 10);
    assert_eq!(ended.output_bytes, (1 << 20) + 21);
    assert_eq!(ended.output_first_frame, 0);

    // The output of an ended Keep can still be read.
    for (from, expected) in [(3, frames(&[b"two"])), (4, vec![]), (99, vec![])] {
        let output = host.output(&keep, from, false).await;
        assert_eq!(output.headers()["enarx-first-frame"], from.to_string());
        assert_eq!(output.bytes().await.unwrap(), expected);
    }
    host.stop().await;
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_again_changes_nothing() {
    let host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let answer = host.ask(Operation::Stop, &keep).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        ends.push(answer.json::<KeepInfo>().await.unwrap());
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0].state, KeepState::Ended);
    assert_eq!(ends[0].end.as_ref().unwrap().kind, EndKind::Stopped);
    assert_eq!(host.launcher.living(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_are_listed_in_order() {
    let host = Host::start(Limits::default()).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.push(host.keep("echo").await.id);
    }
    let url = host.url(Operation::List.path());
    let list: KeepList = host
        .client
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let listed: Vec<_> = list.keeps.iter().map(|keep| keep.id).collect();
    assert_eq!(listed, started);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_describes_itself() {
    let host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    host.input(&keep, &[b"hello"]).await;
    let get = async |operation: Operation| {
        let answer = host.client.get(host.url(operation.path())).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        let media_type = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(Some(&*media_type), operation.response_media_type());
        answer.text().await.unwrap()
    };
    let info: HostInfo = serde_json::from_str(&get(Operation::Host).await).unwrap();
    assert_eq!((&*info.service, info.api_version), ("enarx-host", 1));
    assert_eq!(info.backends[0].name, "echo");
    assert_eq!(info.limits.keeps, Some(64));
    assert_eq!(get(Operation::Health).await, "ok\n");

    let description: serde_json::Value =
        serde_json::from_str(&get(Operation::Description).await).unwrap();
    assert_eq!(description["openapi"], "3.1.0");

    let metrics = get(Operation::Metrics).await;
    for line in [
        "enarx_host_keeps{state=\"running\"} 1",
        "enarx_host_keeps_memory_bytes 1048576",
        "enarx_host_keeps_started_total{backend=\"echo\",simulated=\"true\"} 1",
        "enarx_host_package_bytes_total 7",
        "enarx_host_input_frames_total 1",
        "enarx_host_input_bytes_total 5",
        "enarx_host_launch_duration_seconds_count 1",
        "enarx_host_package_duration_seconds_count 1",
        "enarx_host_requests_total{operation=\"start\",status=\"201\"} 1",
        "enarx_host_output_dropped_frames_total 0",
        "# EOF",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line}\n{metrics}"
        );
    }
}
