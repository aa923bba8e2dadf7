//! Components of WASI 0.3.

use std::{io::Read as _, time::Duration};

use enarx_wire_package::{Limits, NetworkRule, NetworkRules, Transport};
use enarx_wire_provision::Cause;
use enarx_wire_target::interfaces::PREVIEW3_INTERFACES;

use crate::{
    components::{component, has, peers, rule, sending},
    support::{Application, Finished},
};

/// Does what its second argument says.
const COMMAND: &str = include_str!("components/preview3.wat");

/// A component that may use WASI 0.3.
fn allowed(text: &str) -> Application<'_> {
    let mut application = component(text);
    application.preview3 = true;
    application
}

/// The command, about to do what `argument` says.
pub fn command(argument: &str) -> Application<'_> {
    let mut application = allowed(COMMAND);
    application.args.push(argument);
    application
}

fn succeeded(finished: &Finished) -> &[u8] {
    let ending = finished.ending();
    assert_eq!((ending.message.as_str(), ending.status), ("", 0));
    &finished.stdout
}

#[test]
fn commands_have_streams_files_variables_and_clocks() {
    let mut application = command("argument ");
    application.env = vec![("NAME", "=value")];
    assert_eq!(succeeded(&application.run()), b"argument NAME=value");

    let mut application = command("input");
    let input: Vec<u8> = (0..50_000).map(|index| (index % 251) as u8).collect();
    application.stdin = &input;
    assert!(succeeded(&application.run()) == input);

    let mut application = command("read");
    let contents: Vec<u8> = (0..20_000).map(|index| (index % 241) as u8).collect();
    application.files = vec![("/data", &contents)];
    assert!(succeeded(&application.run()) == contents);

    let mut application = command("write");
    application.files = vec![("/other", b"")];
    assert_eq!(succeeded(&application.run()), b"ping");

    assert!(succeeded(&command("clock").run()).is_empty());
}

#[test]
fn commands_end_with_their_status_or_a_trap() {
    let ends = |application: Application<'_>| {
        let finished = application.run();
        let ending = finished.ending().clone();
        (ending.cause, ending.status, ending.message)
    };
    assert_eq!(ends(command("exit")), (Cause::Exited, 7, String::new()));
    assert_eq!(ends(command("no")), (Cause::Exited, 1, String::new()));
    let (cause, status, message) = ends(command("trap"));
    assert_eq!((cause, status), (Cause::Trapped, 134));
    assert!(message.contains("unreachable"), "{message}");
}

#[test]
fn limits_are_the_same() {
    let mut application = command("input");
    let input = vec![b'x'; 100_000];
    application.stdin = &input;
    application.limits = Limits {
        output_bytes: Some(1000),
        ..Limits::default()
    };
    let finished = application.run();
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert!(finished.stdout.len() <= 10_000);

    let mut application = command("argument");
    application.limits = Limits {
        memory_bytes: Some(64 << 10),
        ..Limits::default()
    };
    let finished = application.run();
    assert_eq!(finished.ending().cause, Cause::Limit);

    // It waits for input that does not come.
    let mut application = command("input");
    application.limits = Limits {
        wall_milliseconds: Some(300),
        ..Limits::default()
    };
    let (keep, secret) = application.start();
    let finished = keep.finish(&secret);
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
}

#[test]
fn sockets_reach_what_the_package_allows_and_no_further() {
    let (listener, datagrams, port) = peers();
    let text = port.to_string();
    let tcp = || vec![rule(Transport::Tcp, "Peer.example", port)];
    let udp = || vec![rule(Transport::Udp, "Peer.example", port)];

    let (finished, asked) = sending(command("stream"), &text, tcp());
    assert!(asked && succeeded(&finished).is_empty());
    let mut received = String::new();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_string(&mut received).unwrap();
    assert_eq!(received, "ping");

    let (finished, asked) = sending(command("datagram"), &text, udp());
    assert!(asked && succeeded(&finished).is_empty());
    let mut buffer = [0; 16];
    datagrams
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let size = datagrams.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..size], b"ping");

    // Each of these is refused somewhere on the way: at the lookup, or behind it.
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    for (rules, may_ask) in [
        (vec![], false),
        (vec![rule(Transport::Http, "peer.example", port)], false),
        (vec![rule(Transport::Tcp, "other.example", port)], false),
        (vec![rule(Transport::Udp, "127.0.0.1", port)], false),
        (vec![rule(Transport::Tcp, "peer.example", port ^ 1)], true),
        (vec![rule(Transport::Udp, "peer.example", port ^ 1)], true),
    ] {
        for argument in ["stream", "datagram"] {
            let (finished, asked) = sending(command(argument), &text, rules.clone());
            assert_eq!(finished.ending().status, 1);
            assert_eq!(asked, may_ask);
        }
    }
    // The other transport does not count.
    for (argument, rules) in [("stream", udp()), ("datagram", tcp())] {
        let (finished, _) = sending(command(argument), &text, rules);
        assert_eq!(finished.ending().status, 1);
    }
    assert!(listener.accept().is_err());
    assert!(datagrams.recv(&mut buffer).is_err());
}

#[test]
fn who_listens_without_an_address_listens_on_all_of_them() {
    let listening = |host: Option<&str>| {
        let mut application = command("listen");
        application.network = Some(NetworkRules {
            connect: vec![],
            listen: vec![NetworkRule {
                transport: Transport::Tcp,
                host: host.map(str::to_owned),
                port: None,
            }],
        });
        application.run().ending().status
    };
    // access-denied is the first error; 101 says that it listens.
    assert_eq!(listening(Some("127.0.0.1")), 10);
    assert_eq!(listening(None), 101);
    // There is not even a socket without a rule.
    assert_eq!(command("listen").run().ending().status, 100);
}

#[test]
fn what_is_not_allowed_is_not_there() {
    // No call of it needs what the engine of other components does not have.
    let text = r#"(component
        (import "wasi:cli/exit@0.3.0" (instance $exit
            (export "exit-with-code" (func (param "status-code" u8)))))
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    assert_eq!(allowed(text).run().ending().status, 0);
    let finished = component(text).run();
    let ending = finished.ending();
    assert_eq!(ending.cause, Cause::Refused);
    assert!(
        ending.message.contains("wasi:cli/exit@0.3.0"),
        "{}",
        ending.message
    );
}

#[test]
fn what_owners_are_told_to_be_there_is_there() {
    /// Something of each of the interfaces, in their order; nothing where there are but types.
    const ITEMS: [&str; PREVIEW3_INTERFACES.len()] = [
        "get-environment",
        "exit",
        "write-via-stream",
        "read-via-stream",
        "write-via-stream",
        "terminal-input",
        "terminal-output",
        "get-terminal-stderr",
        "get-terminal-stdin",
        "get-terminal-stdout",
        "",
        "now",
        "now",
        "",
        "get-directories",
        "descriptor",
        "send",
        "fields",
        "get-insecure-random-u64",
        "get-insecure-seed",
        "get-random-u64",
        "resolve-addresses",
        "tcp-socket",
        "connector",
        "error",
    ];
    for ((name, version), item) in PREVIEW3_INTERFACES.into_iter().zip(ITEMS) {
        if !item.is_empty() {
            has(allowed, &format!("{name}@{version}"), item);
        }
    }
}

#[test]
fn other_components_run_where_preview3_is_allowed() {
    let text = "(component
        (core module $m (func (export \"run\") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i \"run\")))
        (instance $run (export \"run\" (func $run)))
        (export \"wasi:cli/run@0.2.0\" (instance $run)))";
    assert_eq!(allowed(text).run().ending().status, 1);
}
