//! The host is the enemy: each lie costs it the deployment, and gives it nothing.

use crate::{
    harness::{Finished, Host, Place, echo, in_every_keep},
    tamper::{Lie, liar},
};

in_every_keep!(
    missing_certificates_are_not_accepted,
    another_nonce_is_noticed,
    an_altered_grant_is_refused_by_the_keep,
    a_host_that_says_it_no_longer_has_the_beginning_is_not_believed,
    a_second_provisioning_is_refused,
);

/// Gives what takes the place of a body.
type Alteration = fn(Vec<u8>) -> Vec<u8>;

/// Deploys an echo of `secret` through a host that lies in one request.
fn deploy(
    place: &Place,
    host: &Host,
    method: &'static str,
    path: &'static str,
    lie: Lie,
) -> Finished {
    let module = place.file("echo.wat", echo());
    let url = liar(&host.url, method, path, lie);
    let finished = place.run_with_input(
        [
            "deploy",
            "--to",
            &url,
            "--simulate",
            module.to_str().unwrap(),
        ],
        b"secret",
    );
    assert_ne!(
        finished.status,
        0,
        "{}",
        String::from_utf8_lossy(&finished.stdout)
    );
    assert!(finished.stderr.contains("error"), "{}", finished.stderr);
    finished
}

/// The Keep ends by itself or by the owner's word; nothing stays behind.
fn nothing_left(host: Host) {
    for _ in 0..500 {
        if host.keeps().is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("Keeps are left: {:?}", host.keeps());
}

#[test]
fn a_connection_that_breaks_in_any_stage_is_an_error_and_leaves_no_keep() {
    for (method, path) in [
        ("POST", "/v1/keeps"),
        ("GET", "/offer"),
        ("POST", "/provision"),
        ("PUT", "/package"),
        ("GET", "/output"),
    ] {
        for lie in [Lie::Hang, Lie::Swallow] {
            let place = Place::new();
            // A Keep whose owner never comes back is ended by the host's own limit.
            let host = place.host(&["--idle-time", "2s"]);
            let finished = deploy(&place, &host, method, path, lie);
            assert_eq!(finished.status, 125, "{method} {path}: {}", finished.stderr);
            nothing_left(host);
        }
    }
}

#[test]
fn an_altered_offer_is_not_accepted() {
    // Each position is somewhere else: claims, keys, evidence.
    let alterations: [Alteration; 4] = [
        |body| flip_in_offer(body, 0.02),
        |body| flip_in_offer(body, 0.3),
        |body| flip_in_offer(body, 0.7),
        |body| flip_in_offer(body, 0.97),
    ];
    for alter in alterations {
        let place = Place::new();
        let host = place.host(&[]);
        let finished = deploy(&place, &host, "GET", "/offer", Lie::Answer(alter));
        assert!(
            [120, 121, 125].contains(&finished.status),
            "{}",
            finished.stderr
        );
        nothing_left(host);
    }
}

fn missing_certificates_are_not_accepted(place: &Place) {
    let host = place.host(&[]);
    let strip: Alteration = |body| {
        let mut started: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(started["endorsements"].as_array().unwrap().len() >= 3);
        started["endorsements"] = serde_json::json!([]);
        started.to_string().into_bytes()
    };
    let finished = deploy(place, &host, "POST", "/v1/keeps", Lie::Answer(strip));
    assert!([120, 121].contains(&finished.status), "{}", finished.stderr);
    nothing_left(host);
}

fn another_nonce_is_noticed(place: &Place) {
    let host = place.host(&[]);
    let exchange: Alteration = |body| {
        let mut start: serde_json::Value = serde_json::from_slice(&body).unwrap();
        start["nonce"] = "00".repeat(32).into();
        start.to_string().into_bytes()
    };
    deploy(place, &host, "POST", "/v1/keeps", Lie::Request(exchange))
        .expect(120)
        .says("nonce");
    nothing_left(host);
}

fn an_altered_grant_is_refused_by_the_keep(place: &Place) {
    let host = place.host(&[]);
    let finished = deploy(place, &host, "POST", "/provision", Lie::Request(flip_last));
    finished.says("grant");
    nothing_left(host);
}

#[test]
fn an_altered_cut_or_reordered_package_is_refused_by_the_keep() {
    let alterations: [Alteration; 4] = [
        flip_last,
        |mut body| {
            body[20] ^= 1;
            body
        },
        |mut body| {
            body.truncate(body.len() - 100);
            body
        },
        |mut body| {
            body.extend_from_within(..);
            body
        },
    ];
    for alter in alterations {
        // The Keep's own words are shown, whatever the host says of the upload.
        for lie in [Lie::Request(alter), Lie::Ruin(alter)] {
            let place = Place::new();
            let host = place.host(&[]);
            deploy(&place, &host, "PUT", "/package", lie)
                .says("did not deliver the granted package");
            nothing_left(host);
        }
    }
}

#[test]
fn altered_missing_repeated_and_cut_output_is_noticed() {
    let alterations: [(Alteration, &str); 4] = [
        (flip_last, "altered"),
        (|body| frames(&body)[1..].concat(), "missing"),
        (
            |body| {
                let frames = frames(&body);
                [&frames[..1], &frames[..]].concat().concat()
            },
            "repeated",
        ),
        (
            |body| {
                let frames = frames(&body);
                frames[..frames.len() - 1].concat()
            },
            "without its authenticated end",
        ),
    ];
    for (alter, words) in alterations {
        let place = Place::new();
        let host = place.host(&[]);
        deploy(&place, &host, "GET", "/output", Lie::Answer(alter))
            .expect(125)
            .says(words);
        nothing_left(host);
    }
}

fn a_host_that_says_it_no_longer_has_the_beginning_is_not_believed(place: &Place) {
    let host = place.host(&[]);
    let lie = Lie::FirstFrame(|body| frames(&body)[1..].concat());
    deploy(place, &host, "GET", "/output", lie)
        .expect(125)
        .says("does not hold the output from frame 0");
    nothing_left(host);
}

fn a_second_provisioning_is_refused(place: &Place) {
    let host = place.host(&[]);
    let module = place.file("echo.wat", echo());
    let deployed = place
        .run([
            "deploy",
            "--to",
            &host.url,
            "--simulate",
            "--detach",
            module.to_str().unwrap(),
        ])
        .expect(0);
    let keep = deployed.text().trim();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let status = runtime.block_on(async {
        reqwest::Client::new()
            .post(format!("{}/v1/keeps/{keep}/provision", host.url))
            .header("content-type", "application/cbor")
            .body(vec![0xa0])
            .send()
            .await
            .unwrap()
            .status()
    });
    assert_eq!(status.as_u16(), 409);
}

/// Flips a bit at a place of the offer's bytes, told as a share of its length.
fn flip_in_offer(body: Vec<u8>, share: f64) -> Vec<u8> {
    let mut response: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut text = response["offer"].as_str().unwrap().to_owned().into_bytes();
    let position = (text.len() as f64 * share) as usize;
    text[position] = if text[position] == b'A' { b'B' } else { b'A' };
    response["offer"] = String::from_utf8(text).unwrap().into();
    response.to_string().into_bytes()
}

fn flip_last(mut body: Vec<u8>) -> Vec<u8> {
    *body.last_mut().unwrap() ^= 1;
    body
}

/// The frames of an output, each with its length before it.
fn frames(body: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = body;
    while let Some(length) = rest.first_chunk::<4>() {
        let end = 4 + u32::from_le_bytes(*length) as usize;
        frames.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    frames
}
