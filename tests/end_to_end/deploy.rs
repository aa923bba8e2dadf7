//! `enarx deploy` against `enarx host serve`, and what comes after.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use crate::harness::{Place, echo, in_every_keep, printing, program};

in_every_keep!(
    the_three_stages_are_shown_and_the_verdict_explained,
    a_remote_deployment_streams_and_ends_with_the_programs_status,
    a_detached_keep_can_be_listed_read_attached_to_and_stopped,
);

fn the_three_stages_are_shown_and_the_verdict_explained(place: &Place) {
    let module = place.file("app.wat", printing("hi"));
    let finished = place
        .run([
            "deploy",
            "--to",
            "local",
            "--simulate",
            module.to_str().unwrap(),
        ])
        .expect(0)
        .says("Attest")
        .says("simulated")
        .says("measurement")
        .says("Package")
        .says("Provision");
    assert_eq!(finished.text(), "hi");
}

#[test]
fn a_simulated_host_is_rejected_by_default_and_gets_nothing() {
    let place = Place::new();
    let host = place.host(&[]);
    let module = place.file("app.wat", program("", ""));
    let module = module.to_str().unwrap();
    let policy = place.file(
        "policy.toml",
        "name = \"mine\"\nplatforms = [\"process\"]\n",
    );
    let finished = place.run([
        "deploy",
        "--to",
        &host.url,
        "--backend",
        "process",
        "--policy",
        policy.to_str().unwrap(),
        module,
    ]);
    assert!([120, 121].contains(&finished.status), "{}", finished.stderr);
    finished.says("simulat");
    let none = place.run(["deploy", "--to", &host.url, module]);
    assert_ne!(none.status, 0);
    none.says("--simulate");
    assert_eq!(host.keeps(), [0u32; 0]);
}

/// Nothing takes the place of a TEE that is not there.
#[test]
fn a_keep_of_snp_says_what_it_misses() {
    let place = Place::new();
    let module = place.file("app.wat", printing("hi"));
    let finished = place.run(["run", "--backend", "snp", module.to_str().unwrap()]);
    assert_ne!(finished.status, 0);
    assert_eq!(finished.text(), "");
    finished.says("SEV-SNP").says("--simulate");
}

fn a_remote_deployment_streams_and_ends_with_the_programs_status(place: &Place) {
    let host = place.host(&[]);
    let module = place.file("echo.wat", echo());
    let input = vec![b'x'; 500_000];
    let finished = place
        .run_with_input(
            [
                "deploy",
                "--to",
                &host.url,
                "--simulate",
                module.to_str().unwrap(),
            ],
            &input,
        )
        .expect(0);
    assert!(finished.stdout == input);
    let log = host.end();
    assert!(!log.contains("xxxx"), "the host's log holds the input");
}

fn a_detached_keep_can_be_listed_read_attached_to_and_stopped(place: &Place) {
    let host = place.host(&[]);
    let module = place.file("echo.wat", echo());
    let module = module.to_str().unwrap();
    let deploy = [
        "deploy",
        "--to",
        &host.url,
        "--simulate",
        "--detach",
        module,
    ];
    let deployed = place.run(deploy).expect(0);
    let keep = deployed.text().trim().to_owned();
    assert_eq!(keep.len(), 32, "{keep}");
    let listed = place.run(["ps", "--host", &host.url]).expect(0);
    assert!(listed.text().contains(&keep) && listed.text().contains("running"));
    assert!(place.run(["ps"]).expect(0).text().contains(&keep));

    // A first attachment leaves again without ending the input.
    let mut first = place
        .enarx(["attach", &keep])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    first.stdin.as_mut().unwrap().write_all(b"first\n").unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(first.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    first.kill().unwrap();
    first.wait().unwrap();

    let second = place
        .run_with_input(["attach", &keep], b"second\n")
        .expect(0);
    assert!(second.text().ends_with("second\n"), "{}", second.text());
    let logs = place.run(["logs", &keep]).expect(0);
    assert_eq!(logs.text(), "first\nsecond\n");

    let endless = place.run(deploy).expect(0);
    let endless = endless.text().trim();
    place.run(["stop", endless]).expect(0);
    assert_eq!(host.keeps(), [0u32; 0]);
}

#[test]
fn a_token_is_asked_for() {
    let place = Place::new();
    let token = place.file("token", "0123456789abcdef0123456789abcdef\n");
    let token = token.to_str().unwrap();
    let host = place.host(&["--token-file", token]);
    let module = place.file("app.wat", program("", ""));
    let module = module.to_str().unwrap();
    let refused = place.run(["deploy", "--to", &host.url, "--simulate", module]);
    assert_ne!(refused.status, 0);
    refused.says("token");
    place
        .run([
            "deploy",
            "--to",
            &host.url,
            "--token-file",
            token,
            "--simulate",
            module,
        ])
        .expect(0);
}

#[test]
fn what_is_not_a_host_is_said_not_to_be_one() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let module = module.to_str().unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let web = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<p/>";
            let _ = stream.write_all(page.as_bytes());
        }
    });
    for (url, words) in [
        (web.as_str(), "enarx host serve"),
        ("http://127.0.0.1:1", "cannot reach the host"),
        ("ftp://host", "http"),
        ("nonsense", "nonsense"),
    ] {
        let finished = place.run(["deploy", "--to", url, "--simulate", module]);
        assert_eq!(finished.status, 125, "{url}: {}", finished.stderr);
        finished.says(words);
    }
}

#[test]
fn a_large_data_file_passes_in_bounded_memory() {
    const SIZE: u64 = 96 << 20;
    let place = Place::new();
    let host = place.host(&[]);
    let data = std::fs::File::create(place.path().join("data.bin")).unwrap();
    data.set_len(SIZE).unwrap();
    let module = place.file("app.wat", program("", ""));
    let mut child = place
        .enarx([
            "deploy",
            "--to",
            &host.url,
            "--simulate",
            "--keep-memory",
            "512MiB",
            "--mount",
            "data.bin:/data.bin",
            module.to_str().unwrap(),
        ])
        .spawn()
        .unwrap();
    // The child is not reaped before its peak was read: it is a zombie at worst,
    // whose status still tells.
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        if let Ok(status) = status
            && let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
            peak = peak.max(kilobytes);
        }
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    let limit = SIZE / 1024 / 2;
    assert!(peak > 0 && peak < limit, "the owner's side had {peak} KiB");
    assert!(
        host.peak_memory() < limit,
        "the host had {} KiB",
        host.peak_memory()
    );
}

#[test]
fn a_keep_whose_end_nobody_confirms_is_said_to_be_one() {
    let place = Place::new();
    let host = place.host(&[]);
    let module = place.file("app.wat", program("", "(loop $again (br $again))"));
    let mut child = place
        .enarx([
            "deploy",
            "--to",
            &host.url,
            "--simulate",
            module.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut wait_for = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "{words}");
        }
    };
    let signal = |name: &str, id: u32| {
        let id = id.to_string();
        Command::new("kill").args([name, &id]).status().unwrap();
    };
    wait_for("Running");
    // The host takes the wish to stop, and is gone before it does anything about it.
    signal("-STOP", host.id());
    signal("-INT", child.id());
    wait_for("stopping the program");
    signal("-KILL", host.id());
    wait_for("may still run");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
