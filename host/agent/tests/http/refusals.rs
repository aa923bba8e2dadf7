//! What callers do wrong, and what they are told.

use enarx_host_agent::{
    Limits,
    http::{Access, AccessToken, ServeOptions},
};
use enarx_wire_host_api::{
    ErrorCode, KeepId, KeepState, MAX_GRANT_BYTES, MAX_JSON_BYTES, Operation,
};
use futures_util::stream;
use serde_json::json;

use crate::common::{Host, frames, problem, request};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_opens_the_host() {
    let token = AccessToken::new("correct-horse-battery".into()).unwrap();
    let options = ServeOptions::new(Access::Token(token));
    let host = Host::start_with(Limits::default(), options).await;
    for operation in Operation::ALL {
        let path = operation.path_for(KeepId::from_bytes([0; 16]));
        let ask = || {
            let method = operation.method().as_str().parse().unwrap();
            host.client.request(method, host.url(&path))
        };
        let bare = ask().send().await.unwrap();
        if operation == Operation::Health {
            assert_eq!(bare.status(), 200);
            continue;
        }
        assert_eq!(bare.headers()["www-authenticate"], "Bearer");
        assert_eq!(problem(bare).await.code, ErrorCode::Unauthorized);
        let wrong = ask().bearer_auth("correct-horse-batterz").send().await;
        assert_eq!(problem(wrong.unwrap()).await.code, ErrorCode::Unauthorized);
        let right = ask().bearer_auth("correct-horse-battery").send().await;
        assert_ne!(right.unwrap().status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_methods_and_keeps() {
    let host = Host::start(Limits::default()).await;
    for path in ["/", "/v1", "/v2/keeps", "/v1/keeps/", "/healthz/x"] {
        let answer = host.client.get(host.url(path)).send().await.unwrap();
        assert_eq!(problem(answer).await.code, ErrorCode::UnknownPath);
    }
    let answer = host.client.put(host.url("/v1/keeps")).send().await.unwrap();
    assert!(answer.headers().contains_key("allow"));
    assert_eq!(problem(answer).await.code, ErrorCode::MethodNotAllowed);

    let unknown = KeepId::from_bytes([0; 16]).to_string();
    for name in [&*unknown, "x", "a%2f..%2fb", "0", &"A".repeat(32)] {
        for operation in Operation::ALL {
            if !operation.concerns_keep() {
                continue;
            }
            let method = operation.method().as_str().parse().unwrap();
            let url = host.url(&operation.path().replace("{id}", name));
            let ask = host.client.request(method, url);
            let ask = match operation.request_media_type() {
                Some(media_type) => ask.header("content-type", media_type).body("x"),
                None => ask,
            };
            let answer = ask.send().await.unwrap();
            assert_eq!(problem(answer).await.code, ErrorCode::UnknownKeep);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_starts() {
    let host = Host::start(Limits::default()).await;
    let good = serde_json::to_value(request("echo")).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut request = good.clone();
        request[key] = value;
        request.to_string()
    };
    for (body, word) in [
        (String::new(), "EOF"),
        ("{".into(), "EOF"),
        ("[]".into(), "length"),
        (with("extra", json!(1)), "extra"),
        (with("nonce", json!("00")), "64"),
        (with("memory_bytes", json!(-1)), "-1"),
        (with("memory_bytes", json!(4097)), "memory_bytes"),
        (with("simulate", json!("yes")), "boolean"),
        (with("name", json!("a b")), "name"),
    ] {
        let start = host.client.post(host.url(Operation::Start.path()));
        let start = start.header("content-type", "application/json").body(body);
        let problem = problem(start.send().await.unwrap()).await;
        assert_eq!(problem.code, ErrorCode::InvalidRequest);
        assert!(problem.detail.contains(word), "{}", problem.detail);
    }
    for (behaviour, code) in [
        ("no-such", ErrorCode::UnknownBackend),
        ("unavailable", ErrorCode::BackendUnavailable),
        ("failing", ErrorCode::LaunchFailed),
    ] {
        let answer = host.try_keep(&request(behaviour)).await;
        assert_eq!(problem(answer).await.code, code);
    }
    assert!(host.service.list().keeps.is_empty());
    // A refused start takes up nothing.
    assert!(
        host.service
            .metrics()
            .contains("enarx_host_keeps_memory_bytes 0\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_media_types() {
    let host = Host::start(Limits::default()).await;
    let keep = host.keep("echo").await;
    for operation in Operation::ALL {
        if operation.request_media_type().is_none() {
            continue;
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
            let method = operation.method().as_str().parse().unwrap();
            let url = host.url(&operation.path_for(keep.id));
            let ask = host.client.request(method, url).body("x");
            let ask = ask.header("content-type", media_type);
            let answer = ask.send().await.unwrap();
            assert_eq!(problem(answer).await.code, ErrorCode::UnsupportedMediaType);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_bodies() {
    let host = Host::start(Limits::default()).await;
    let keep = host.keep("echo").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    for (operation, limit) in [
        (Operation::Start, MAX_JSON_BYTES),
        (Operation::Provision, MAX_GRANT_BYTES),
    ] {
        let large = vec![b' '; limit + 1];
        let announced = host.ask(operation, &keep).body(large.clone());
        let pieces = large
            .chunks(1000)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
        let pieces: Vec<_> = pieces.collect();
        let unannounced = reqwest::Body::wrap_stream(stream::iter(pieces));
        let unannounced = host.ask(operation, &keep).body(unannounced);
        for ask in [announced, unannounced] {
            let answer = ask.send().await.unwrap();
            assert_eq!(problem(answer).await.code, ErrorCode::BodyTooLarge);
        }
    }
    assert_eq!(host.inspect(&keep).await.state, KeepState::Offered);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_out_of_order() {
    let host = Host::start(Limits::default()).await;
    let refused = async |operation, keep, state| {
        let body = frames(&[b"x"]);
        let answer = host.ask(operation, keep).body(body).send().await.unwrap();
        let problem = problem(answer).await;
        assert_eq!(problem.code, ErrorCode::WrongState);
        assert_eq!(problem.state, Some(state));
    };
    let keep = host.keep("echo").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    refused(Operation::Package, &keep, KeepState::Offered).await;
    refused(Operation::Input, &keep, KeepState::Offered).await;
    let grant = || host.ask(Operation::Provision, &keep).body("grant").send();
    assert_eq!(grant().await.unwrap().status(), 204);
    refused(Operation::Provision, &keep, KeepState::Provisioned).await;
    refused(Operation::Input, &keep, KeepState::Provisioned).await;
    let package = host.ask(Operation::Package, &keep).body("package");
    assert_eq!(package.send().await.unwrap().status(), 204);
    refused(Operation::Provision, &keep, KeepState::Running).await;
    refused(Operation::Package, &keep, KeepState::Running).await;

    host.service.stop(keep.id).await.unwrap();
    for operation in [
        Operation::Offer,
        Operation::Provision,
        Operation::Package,
        Operation::Input,
    ] {
        let answer = host
            .ask(operation, &keep)
            .body(frames(&[b"x"]))
            .send()
            .await;
        let problem = problem(answer.unwrap()).await;
        assert_eq!(problem.code, ErrorCode::KeepEnded);
        assert!(problem.end.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_grants_at_once_and_one_wins() {
    let host = Host::start(Limits::default()).await;
    let keep = host.keep("echo").await;
    host.ask(Operation::Offer, &keep).send().await.unwrap();
    let grant = || host.ask(Operation::Provision, &keep).body("grant").send();
    let (first, second) = tokio::join!(grant(), grant());
    let mut statuses = [first.unwrap().status(), second.unwrap().status()];
    statuses.sort();
    assert_eq!(statuses.map(|status| status.as_u16()), [204, 409]);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_leave_the_keep_alone() {
    let host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    let mut good_then_cut = frames(&[b"good"]);
    good_then_cut.extend([9, 0, 0, 0, 1]);
    for body in [
        vec![0, 0, 0, 0],
        vec![1],
        vec![255, 255, 255, 255, 0],
        vec![1, 0, 16, 0, 0],
        good_then_cut,
    ] {
        let answer = host.ask(Operation::Input, &keep).body(body).send().await;
        assert_eq!(
            problem(answer.unwrap()).await.code,
            ErrorCode::MalformedFrames
        );
    }
    host.input(&keep, &[]).await;
    host.input(&keep, &[b"exit"]).await;
    let ended = host.service.wait(keep.id).await.unwrap();
    assert_eq!(ended.input_frames, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_queries() {
    let host = Host::start(Limits::default()).await;
    let keep = host.running_keep().await;
    for query in ["from=-1", "from=x", "follow=maybe", "to=9", "from=1&from=2"] {
        let url = host.url(&Operation::Output.path_for(keep.id));
        let answer = host.client.get(format!("{url}?{query}")).send().await;
        assert_eq!(
            problem(answer.unwrap()).await.code,
            ErrorCode::InvalidRequest
        );
    }
}
