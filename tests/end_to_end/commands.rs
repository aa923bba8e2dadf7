//! What a newcomer does wrong, and what the command says about it.

use std::path::Path;

use crate::harness::{Finished, Place, echo, program};

/// A program that does nothing.
fn idle(place: &Place) -> String {
    let path = place.file("app.wat", program("", ""));
    path.to_str().unwrap().to_owned()
}

fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(path).to_str().unwrap().to_owned()
}

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// Panics unless the command failed by itself, with a remedy that holds `words`.
#[track_caller]
fn advises(finished: Finished, words: &str) {
    let finished = finished.expect(125);
    let help = finished.stderr.split("help: ").nth(1).unwrap_or_default();
    assert!(help.contains(words), "{words:?}\n{}", finished.stderr);
}

#[test]
fn a_wrong_address_is_told_from_a_right_one() {
    let place = Place::new();
    let app = idle(&place);
    let deploy = |to: &str| place.run(["deploy", "--simulate", "--to", to, &app]);
    for wrong in ["127.0.0.1:7363", "localhost:7363", "machine"] {
        advises(deploy(wrong), &format!("write http://{wrong}"));
    }
    advises(deploy(NOBODY), "check the address");

    let plain = place.host(&[]);
    let finished = deploy(&plain.url.replace("http", "https")).says("answers without TLS");
    finished.says(&format!("its address seems to be {}", plain.url));

    let tls = |file: &str| repository(&format!("host/agent/tests/tls/{file}"));
    let secure = place.host(&[
        "--tls-certificate",
        &tls("certificate.pem"),
        "--tls-key",
        &tls("key.pem"),
    ]);
    let address = secure.url.replace("http", "https");
    deploy(&secure.url).says(&format!(
        "answers with TLS; its address seems to be {address}"
    ));
    advises(deploy(&address), "--tls-authorities");
}

#[test]
fn a_token_that_is_missing_or_wrong_is_asked_for_by_its_flag() {
    let place = Place::new();
    let app = idle(&place);
    let token = place.file("token", "0123456789abcdef0123456789abcdef\n");
    let host = place.host(&["--token-file", token.to_str().unwrap()]);
    place.file("wrong", "fedcba9876543210fedcba9876543210\n");
    let deploy = ["deploy", "--simulate", "--to", &host.url, &app];
    for more in [
        &[][..],
        &["--token-file", "wrong"],
        &["--token-file", "absent"],
    ] {
        let finished = place.run(deploy.iter().chain(more));
        advises(
            finished,
            "--token-file FILE, or in the variable ENARX_TOKEN_FILE",
        );
    }
    advises(place.run(["ps", "--host", &host.url]), "--token-file");
    let named = place
        .enarx(deploy)
        .env("ENARX_TOKEN_FILE", &token)
        .output()
        .unwrap();
    Finished::from(named).expect(0);
}

#[test]
fn what_cannot_be_run_is_said_with_the_way_out() {
    let place = Place::new();
    let app = idle(&place);
    place.file("data", vec![0; 20 << 20]);
    place.file("not-a-policy.toml", "debgu = 1\n");
    let run = |more: &[&str]| place.run(["run", &app].iter().chain(more));
    let small = ["--simulate", "--keep-memory", "1MiB"];
    advises(run(&small), "leave --keep-memory out");
    let full = ["-s", "--keep-memory", "16MiB", "-m", "data:/data"];
    advises(run(&full).says("data files"), "leave --keep-memory out");
    let other = ["--simulate", "--backend", "cvm"];
    advises(run(&other), "--simulate alone takes `process`");
    advises(
        run(&[]).says("this machine has no TEE"),
        "--backend process",
    );
    advises(run(&["-s", "-p", "absent.toml"]), "enarx policy show");
    advises(run(&["-s", "-p", "not-a-policy.toml"]), "docs/policy.md");
    advises(
        place
            .run(["policy", "check", "not-a-policy.toml"])
            .says("line 1, column 1"),
        "docs/policy.md",
    );
    advises(
        place.run(["policy", "check", "absent.toml"]),
        "enarx policy show",
    );
    run(&["-s", "--timeout", "0s"])
        .expect(125)
        .says("a time must be at least 1ms");
}

#[test]
fn a_session_that_is_not_there_is_said_with_the_way_to_those_that_are() {
    let place = Place::new();
    for command in ["logs", "attach", "stop"] {
        for keep in ["", "xyz"] {
            advises(place.run([command, keep]), "enarx ps --sessions");
        }
    }
}

#[test]
fn a_session_outlives_its_host_until_it_is_forgotten() {
    let place = Place::new();
    let host = place.host(&[]);
    let module = place.file("echo.wat", echo());
    let deploy = [
        "deploy",
        "-s",
        "-d",
        "--to",
        &host.url,
        module.to_str().unwrap(),
    ];
    let keep = place.run(deploy).expect(0).text().trim().to_owned();
    host.end();

    for command in ["logs", "attach", "stop"] {
        advises(place.run([command, &keep]), "check the address");
    }
    // Others of these tests leave sessions too.
    let listed = |more: &[&str]| {
        let finished = place.run(["ps", "--json"].iter().chain(more)).expect(0);
        let list: serde_json::Value = serde_json::from_str(finished.text()).unwrap();
        let mut sessions = list.as_array().unwrap().iter();
        sessions.find(|one| one["keep"] == *keep).cloned()
    };
    let session = listed(&["--forget-gone"]).expect("the host did not say that it is gone");
    assert_eq!(session["state"], "unreachable");
    assert!(session["reason"].as_str().unwrap().contains("refused"));
    let table = place.run(["ps"]).expect(0).says("cannot reach the host");
    let line = table.text().lines().find(|line| line.starts_with(&keep));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[2], "unreachable", "{words:?}");

    place
        .run(["stop", "--forget", &keep])
        .expect(125)
        .says("may still run")
        .says("forgotten");
    assert_eq!(listed(&["--sessions"]), None);
}

#[test]
fn a_keep_that_its_host_no_longer_has_is_forgotten() {
    let place = Place::new();
    let host = place.host(&["--retention-time", "1ms"]);
    let app = idle(&place);
    let deploy = ["deploy", "-s", "-d", "--to", &host.url, &app];
    let keep = place.run(deploy).expect(0).text().trim().to_owned();
    let gone = || {
        let finished = place.run(["logs", &keep]);
        (finished.status == 125).then_some(finished)
    };
    advises(
        std::iter::repeat_with(gone).find_map(|gone| gone).unwrap(),
        "--forget-gone",
    );
    place
        .run(["stop", "--forget", &keep])
        .expect(0)
        .says("forgotten");
    place.run(["stop", &keep]).expect(125);
}

#[test]
fn an_attachment_to_an_ended_program_says_how_it_ended() {
    let place = Place::new();
    let host = place.host(&[]);
    let module = place.file("app.wat", program("", "(call $proc_exit (i32.const 7))"));
    let deploy = [
        "deploy",
        "-s",
        "-d",
        "--to",
        &host.url,
        module.to_str().unwrap(),
    ];
    let keep = place.run(deploy).expect(0).text().trim().to_owned();
    place.run(["logs", "--follow", &keep]).expect(0);
    // The host sees a moment later that the Keep's process is gone.
    let ended = || {
        let finished = place.run(["attach", &keep]).expect(7);
        finished
            .stderr
            .contains("had ended before")
            .then_some(finished)
    };
    let finished = std::iter::repeat_with(ended)
        .find_map(|ended| ended)
        .unwrap();
    finished.says("with status 7").says("enarx logs");
}

#[test]
fn a_key_is_neither_useless_nor_left_behind() {
    let place = Place::new();
    let app = idle(&place);
    let build = |output: &str, key: &str| {
        place.run(["package", "build", &app, "--output", output, "--key", key])
    };
    build("absent/p", "new")
        .expect(125)
        .says("cannot write the package");
    assert!(!place.path().join("new").exists());
    build("same", "same").expect(125).says("the same file");
    build("p", "key").expect(0).says("in 1 entry");
    build("absent/p", "key").expect(125);
    assert!(
        place.path().join("key").exists(),
        "it opens another package"
    );

    place.file("folder/main.wat", program("", ""));
    for unencrypted in ["folder", &app] {
        let run = ["run", "--simulate", "--key", "key", unencrypted];
        advises(place.run(run).says("not a package"), "leave --key out");
    }
    let run = ["run", "--simulate", "--key", "absent", "p"];
    advises(place.run(run), "enarx package build");
}

#[test]
fn a_damaged_package_is_not_run() {
    let place = Place::new();
    let app = idle(&place);
    place.file("data", vec![0; 1 << 20]);
    let build = [
        "package",
        "build",
        &app,
        "-m",
        "data:/data",
        "-o",
        "p",
        "-k",
        "key",
    ];
    place.run(build).expect(0);
    let sound = std::fs::read(place.path().join("p")).unwrap();
    // In its program, and in its data, which is read when the Keep waits for it.
    for position in [200, sound.len() - 1000] {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        place.file("p", damaged);
        let finished = place.run(["run", "--simulate", "--key", "key", "p"]);
        advises(finished, "damaged or tampered with");
    }
}

#[test]
fn the_policys_page_explains_every_key_and_shows_only_what_is_right() {
    let page = std::fs::read_to_string(repository("docs/policy.md")).unwrap();
    let place = Place::new();
    let check = |policy: &str| {
        place.file("policy.toml", policy);
        place.run(["policy", "check", "policy.toml"])
    };
    let mut keys = 0;
    let tables = ["", "[minimum_tcb]\n", "[minimum_tcb.snp]\n", "[tdx]\n"];
    for table in tables {
        // What is not a key is answered with those that are.
        let answer = check(&format!("{table}nonsense = 0\n")).expect(125).stderr;
        let expected = answer.split("expected").nth(1).unwrap();
        let named = expected
            .split('\n')
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2);
        for key in named {
            assert!(page.contains(&format!("`{key}`")), "{key} is not explained");
            keys += 1;
        }
    }
    assert_eq!(keys, 23 + 1 + 9 + 5);
    let examples: Vec<_> = page.split("```toml\n").skip(1).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        check(example.split("```").next().unwrap()).expect(0);
    }
}
