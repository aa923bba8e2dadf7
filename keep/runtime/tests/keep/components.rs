//! Components, what they import, and the limits of all programs.

use std::{
    io::Read as _,
    net::{TcpListener, UdpSocket},
};

use crate::support::{Application, Finished};
use enarx_wire_hostcall::{envelope::Kind, lookup::decode_request};
use enarx_wire_package::{Limits, NetworkRule, NetworkRules, Transport, WorkloadKind, digest};
use enarx_wire_provision::{Cause, Output, OutputReader, workload_report_data};
use enarx_wire_target::interfaces::{INTERFACES, MODULES};

pub fn component(text: &str) -> Application<'_> {
    let mut application = Application::new(text);
    application.kind = WorkloadKind::Component;
    application
}

/// Sends a word through a stream and in a datagram.
pub const SOCKETS: &str = include_str!("components/sockets.wat");

/// Runs `application`, which sends to `port` of peer.example, with these rules, answering its
/// lookups; gives what it came to, and whether it asked for addresses.
pub fn sending<'a>(
    mut application: Application<'a>,
    port: &'a str,
    connect: Vec<NetworkRule>,
) -> (Finished, bool) {
    (application.config).extend([("name", "peer.example"), ("port", port)]);
    // As it is in manifests.
    application.config.sort_unstable();
    application.network = Some(NetworkRules {
        connect,
        listen: vec![],
    });
    let (mut keep, secret) = application.start();
    let mut reader = OutputReader::new(&secret, 0);
    let mut finished = Finished::default();
    let mut asked = false;
    while let Some((kind, payload)) = keep.receive() {
        if kind == Kind::Lookup {
            assert_eq!(decode_request(&payload).unwrap().1, "peer.example");
            keep.answer_lookup(&payload, &["127.0.0.1"]);
            asked = true;
            continue;
        }
        match reader.open(&payload).unwrap() {
            Output::End(ending) => finished.ending = Some(ending),
            other => panic!("{other:?}"),
        }
    }
    (finished, asked)
}

/// What listens on a port with TCP, and with UDP.
pub fn peers() -> (TcpListener, UdpSocket, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (
        listener,
        UdpSocket::bind(("127.0.0.1", port)).unwrap(),
        port,
    )
}

pub fn rule(transport: Transport, host: &str, port: u16) -> NetworkRule {
    NetworkRule {
        transport,
        host: Some(host.to_owned()),
        port: Some(port),
    }
}

#[test]
fn sockets_reach_what_the_package_allows_and_no_further() {
    let (listener, datagrams, port) = peers();
    let both = |host: &str| {
        vec![
            rule(Transport::Tcp, host, port),
            rule(Transport::Udp, host, port),
        ]
    };
    let text = port.to_string();
    let (finished, asked) = sending(component(SOCKETS), &text, both("Peer.example"));
    let ending = finished.ending();
    assert_eq!((ending.message.as_str(), ending.status), ("", 0));
    assert!(asked);
    let mut received = String::new();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_string(&mut received).unwrap();
    let mut buffer = [0; 16];
    let size = datagrams.recv(&mut buffer).unwrap();
    assert_eq!((received.as_str(), &buffer[..size]), ("ping", &b"ping"[..]));

    // Each of these is refused somewhere on the way: at the lookup, or behind it.
    listener.set_nonblocking(true).unwrap();
    let request = rule(Transport::Http, "peer.example", port);
    for (rules, may_ask) in [
        (vec![], false),
        (vec![request], false),
        (both("other.example"), false),
        (both("127.0.0.1"), false),
        (vec![rule(Transport::Tcp, "peer.example", port ^ 1)], true),
        (vec![rule(Transport::Udp, "peer.example", port)], true),
    ] {
        let (finished, asked) = sending(component(SOCKETS), &text, rules);
        assert_eq!(finished.ending().status, 1);
        assert_eq!(asked, may_ask);
        assert!(listener.accept().is_err());
    }
    // Here only the datagram is.
    let tcp = vec![rule(Transport::Tcp, "peer.example", port)];
    let (finished, _) = sending(component(SOCKETS), &text, tcp);
    assert_eq!(finished.ending().status, 1);
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(datagrams.recv(&mut buffer).is_err());
}

#[test]
fn what_owners_are_told_to_be_there_is_there() {
    for ((name, version), item) in INTERFACES.into_iter().zip(ITEMS) {
        has(component, &format!("{name}@{version}"), item);
    }

    // Types are compared when all names have been found.
    let imports: String = (MODULES.iter())
        .flat_map(|(module, names)| names.iter().map(move |name| (module, name)))
        .map(|(module, name)| format!("(import \"{module}\" \"{name}\" (func (param f64)))"))
        .collect();
    let text = format!("(module {imports} (func (export \"_start\")))");
    let finished = Application::new(&text).run();
    let ending = finished.ending();
    assert_eq!(ending.cause, Cause::Refused);
    assert!(
        ending.message.contains("incompatible import type"),
        "{}",
        ending.message
    );
}

/// Something of each of the interfaces, in their order.
const ITEMS: [&str; INTERFACES.len()] = [
    "identity",
    "derive-key",
    "get-environment",
    "exit",
    "get-stderr",
    "get-stdin",
    "get-stdout",
    "terminal-input",
    "terminal-output",
    "get-terminal-stderr",
    "get-terminal-stdin",
    "get-terminal-stdout",
    "now",
    "now",
    "get",
    "get-directories",
    "descriptor",
    "handle",
    "fields",
    "error",
    "poll",
    "input-stream",
    "increment",
    "get-many",
    "open",
    "get-insecure-random-u64",
    "insecure-seed",
    "get-random-u64",
    "instance-network",
    "resolve-addresses",
    "network",
    "tcp-socket",
    "create-tcp-socket",
    "udp-socket",
    "create-udp-socket",
    "client-handshake",
];

/// Checks that what is made by `application` finds `item` in `interface`: an empty instance would do
/// for one that is not there, and what is of another type is refused as such.
pub fn has(application: fn(&str) -> Application<'_>, interface: &str, item: &str) {
    let text = format!(
        "(component (import \"{interface}\" (instance (export \"{item}\" (func (param \"x\" f64)))))
            (core module $m (func (export \"run\") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i \"run\")))
            (instance $run (export \"run\" (func $run)))
            (export \"wasi:cli/run@0.2.0\" (instance $run)))"
    );
    let finished = application(&text).run();
    let message = &finished.ending().message;
    println!("{interface} {item}: {message}");
    assert!(
        message.contains("wrong type") && !message.contains("is missing"),
        "{interface}: {message}"
    );
}

/// A component that imports an interface, which it calls `$keep`, and writes to standard output.
/// `signature` is the core type of the interface's `function`, and `body` its `run`.
fn writing(interface: &str, function: &str, signature: &str, body: &str) -> String {
    format!(
        r#"(component
    {interface}
    (import "wasi:io/error@0.2.3" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.3" (instance $streams
        (alias outer 1 $error (type $outer-error))
        (export "error" (type $e (eq $outer-error)))
        (type $failure (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failure)))
        (export "output-stream" (type $output (sub resource)))
        (export "[method]output-stream.blocking-write-and-flush" (func
            (param "self" (borrow $output)) (param "contents" (list u8))
            (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:cli/stdout@0.2.3" (instance $stdout
        (alias outer 1 $output (type $o))
        (export "output-stream" (type $output (eq $o)))
        (export "get-stdout" (func (result (own $output))))))
    (core module $allocator
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $memory (instantiate $allocator))
    (alias core export $memory "memory" (core memory $m))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $function (canon lower (func $keep "{function}") (memory $m) (realloc $realloc)))
    (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $m)))
    (core func $stdout (canon lower (func $stdout "get-stdout")))
    (core module $program
        (import "" "memory" (memory 1))
        (import "" "function" (func $function {signature}))
        (import "" "write" (func $write (param i32 i32 i32 i32)))
        (import "" "stdout" (func $stdout (result i32)))
        (data (i32.const 1024) "nonce")
        (func (export "run") (result i32) {body}))
    (core instance $main (instantiate $program (with "" (instance
        (export "memory" (memory $m))
        (export "function" (func $function))
        (export "write" (func $write))
        (export "stdout" (func $stdout))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.3" (instance $command)))"#
    )
}

/// Writes evidence for the nonce "nonce" to standard output.
fn attesting_component() -> String {
    writing(
        r#"(import "enarx:keep/attestation@0.1.0" (instance $keep
            (type $a-failure (variant (case "nonce-length") (case "unavailable" string)))
            (export "error" (type $failure (eq $a-failure)))
            (export "evidence" (func (param "nonce" (list u8)) (result (result (list u8) (error $failure)))))))"#,
        "evidence",
        "(param i32 i32 i32)",
        "(call $function (i32.const 1024) (i32.const 65) (i32.const 0))
         (if (i32.eqz (i32.load8_u (i32.const 0))) (then (unreachable)))
         (call $function (i32.const 1024) (i32.const 5) (i32.const 0))
         (if (i32.load8_u (i32.const 0)) (then (unreachable)))
         (call $write (call $stdout) (i32.load offset=4 (i32.const 0)) (i32.load offset=8 (i32.const 0)) (i32.const 64))
         (i32.load8_u (i32.const 64))",
    )
}

/// Writes its name and its digests to standard output.
fn identifying_component() -> String {
    writing(
        r#"(import "enarx:keep/attestation@0.1.0" (instance $keep
            (type $an-identity (record (field "name" string) (field "program" (list u8)) (field "application" (list u8))))
            (export "program-identity" (type $identity (eq $an-identity)))
            (export "identity" (func (result $identity)))
            (type $a-measurement (record (field "platform" string) (field "format" string)
                (field "runtime" (list u8)) (field "memory-bytes" u64)))
            (export "keep-measurement" (type $measurement (eq $a-measurement)))
            (export "measurement" (func (result $measurement)))))"#,
        "identity",
        "(param i32)",
        "(local $at i32)
         (call $function (i32.const 0))
         (loop $again
             (call $write (call $stdout) (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)) (i32.const 64))
             (local.set $at (i32.add (local.get $at) (i32.const 8)))
             (br_if $again (i32.lt_u (local.get $at) (i32.const 24))))
         (i32.load8_u (i32.const 64))",
    )
}

const ATTESTING_MODULE: &str = r#"(module
    (import "enarx_keep" "evidence" (func $evidence (param i32 i32 i32 i32 i32) (result i32)))
    (import "enarx_keep" "application_identity" (func $identity (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "nonce")
    (func $must (param $is i32) (param $due i32)
        (if (i32.ne (local.get $is) (local.get $due)) (then (call $exit (local.get $is)))))
    (func (export "_start")
        ;; EINVAL, EOVERFLOW, EFAULT
        (call $must (call $evidence (i32.const 1024) (i32.const 65) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 28))
        (call $must (call $evidence (i32.const 1024) (i32.const 5) (i32.const 4096) (i32.const 1) (i32.const 16)) (i32.const 61))
        (call $must (call $evidence (i32.const 65535) (i32.const 5) (i32.const 4096) (i32.const 1) (i32.const 16)) (i32.const 21))
        (call $must (call $identity (i32.const 65535)) (i32.const 21))
        (call $must (call $evidence (i32.const 1024) (i32.const 5) (i32.const 4096) (i32.const 4096) (i32.const 4)) (i32.const 0))
        (call $must (call $identity (i32.add (i32.const 4096) (i32.load (i32.const 4)))) (i32.const 0))
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 48)))
        (call $must (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 0))))"#;

#[test]
fn programs_get_evidence_that_names_their_package() {
    for application in [
        component(&attesting_component()),
        Application::new(ATTESTING_MODULE),
    ] {
        let (keep, secret) = application.start();
        let identity = keep.application.unwrap();
        let finished = keep.finish(&secret);
        let ending = finished.ending();
        assert_eq!((ending.message.as_str(), ending.status), ("", 0));
        // The device of these tests gives the report data as evidence.
        let (evidence, rest) = finished.stdout.split_at(64);
        assert_eq!(evidence, workload_report_data(&identity, b"nonce"));
        assert!(rest.is_empty() || rest == identity);
    }
}

#[test]
fn components_learn_who_they_are() {
    let text = identifying_component();
    let (keep, secret) = component(&text).start();
    let application = keep.application.unwrap();
    let finished = keep.finish(&secret);
    let ending = finished.ending();
    assert_eq!((ending.message.as_str(), ending.status), ("", 0));
    let program = digest(&wat::parse_str(&text).unwrap());
    let identity = [b"test".as_slice(), &program, &application].concat();
    assert_eq!(finished.stdout, identity);
}

/// Writes the application's and the program's key for the context "nonce" to standard output.
fn key_component() -> String {
    writing(
        r#"(import "enarx:keep/keys@0.1.0" (instance $keep
            (type $a-scope (enum "application" "program"))
            (export "scope" (type $scope (eq $a-scope)))
            (type $a-failure (enum "context-length" "no-secret"))
            (export "error" (type $failure (eq $a-failure)))
            (export "derive-key" (func (param "scope" $scope) (param "context" (list u8))
                (result (result (list u8) (error $failure)))))))"#,
        "derive-key",
        "(param i32 i32 i32 i32)",
        "(local $scope i32)
         (call $function (i32.const 0) (i32.const 1024) (i32.const 1025) (i32.const 0))
         (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then (unreachable)))
         (if (i32.load8_u (i32.const 4)) (then (unreachable)))
         (loop $again
             (call $function (local.get $scope) (i32.const 1024) (i32.const 5) (i32.const 0))
             (if (i32.load8_u (i32.const 0)) (then (return (i32.load8_u (i32.const 4)))))
             (call $write (call $stdout) (i32.load offset=4 (i32.const 0)) (i32.load offset=8 (i32.const 0)) (i32.const 64))
             (local.set $scope (i32.add (local.get $scope) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $scope) (i32.const 2))))
         (i32.load8_u (i32.const 64))",
    )
}

const KEY_MODULE: &str = r#"(module
    (import "enarx_keep" "derive_key" (func $key (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\00\10\00\00\40\00\00\00")
    (data (i32.const 1024) "nonce")
    (func $must (param $is i32) (param $due i32)
        (if (i32.ne (local.get $is) (local.get $due)) (then (call $exit (local.get $is)))))
    (func (export "_start")
        ;; EINVAL, EINVAL, EFAULT, EFAULT
        (call $must (call $key (i32.const 2) (i32.const 1024) (i32.const 5) (i32.const 4096)) (i32.const 28))
        (call $must (call $key (i32.const 0) (i32.const 1024) (i32.const 1025) (i32.const 4096)) (i32.const 28))
        (call $must (call $key (i32.const 0) (i32.const 65535) (i32.const 5) (i32.const 4096)) (i32.const 21))
        (call $must (call $key (i32.const 0) (i32.const 1024) (i32.const 1024) (i32.const 65505)) (i32.const 21))
        (call $must (call $key (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 4096)) (i32.const 0))
        (call $must (call $key (i32.const 1) (i32.const 1024) (i32.const 5) (i32.const 4128)) (i32.const 0))
        (call $must (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 0))))"#;

#[test]
fn programs_have_keys_of_their_owners_secret() {
    // What they end with where there is none: a component's error, ENOENT.
    let component_text = key_component();
    for (mut application, without) in [
        (component(&component_text), 1),
        (Application::new(KEY_MODULE), 44),
    ] {
        let finished = application.run();
        let ending = finished.ending();
        assert_eq!((ending.message.as_str(), ending.status), ("", 0));
        let secret = application.secret.take().unwrap();
        let program = digest(&wat::parse_str(application.text).unwrap());
        let keys = [
            *secret.application_key(b"nonce"),
            *secret.program_key(&program, b"nonce"),
        ];
        assert_eq!(finished.stdout, keys.concat());

        let finished = application.run();
        assert_eq!(finished.ending().status, without);
        assert!(finished.stdout.is_empty());
    }
}

#[test]
fn components_exit_with_any_status() {
    let text = r#"(component
        (import "wasi:cli/exit@0.2.12" (instance $exit
            (export "exit-with-code" (func (param "status-code" u8)))))
        (core func $exit (canon lower (func $exit "exit-with-code")))
        (core module $m
            (import "" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 42)) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.12" (instance $run)))"#;
    let finished = component(text).run();
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Exited, 42));
}

#[test]
fn calls_with_what_is_no_value_of_their_types_trap() {
    let module = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (drop (call $time (i32.const 99) (i64.const 0) (i32.const 0)))))"#;
    // No instance has this resource.
    let component_text = r#"(component
        (import "wasi:io/poll@0.2.12" (instance $poll
            (export "pollable" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (core func $drop (canon resource.drop $pollable))
        (core module $m
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (call $drop (i32.const 42)) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.12" (instance $run)))"#;
    for application in [Application::new(module), component(component_text)] {
        let finished = application.run();
        let ending = finished.ending();
        assert_eq!(
            (ending.cause, ending.status),
            (Cause::Trapped, 134),
            "{}",
            ending.message
        );
    }
}

fn limited(text: &str, limits: Limits) -> Finished {
    let mut application = Application::new(text);
    application.limits = limits;
    application.run()
}

#[test]
fn limits_end_a_program_with_their_reason() {
    let spinning = "(module (func (export \"_start\") (loop $again (br $again))))";
    let finished = limited(
        spinning,
        Limits {
            processor_milliseconds: Some(300),
            ..Limits::default()
        },
    );
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert!(
        ending.message.contains("processor time"),
        "{}",
        ending.message
    );

    let talkative = "(module
        (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1)
        (func (export \"_start\")
            (i32.store (i32.const 4) (i32.const 1000))
            (loop $again
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br $again))))";
    let finished = limited(
        talkative,
        Limits {
            output_bytes: Some(1000),
            ..Limits::default()
        },
    );
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert!(
        ending.message.contains("limit of output"),
        "{}",
        ending.message
    );
    assert!((10_000..100_000).contains(&finished.stdout.len()));

    let tables = "(module (table 100 funcref) (func (export \"_start\")))";
    let finished = limited(
        tables,
        Limits {
            table_elements: Some(99),
            ..Limits::default()
        },
    );
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert!(
        ending.message.contains("100 elements, 99 are allowed"),
        "{}",
        ending.message
    );

    let mut instances = component(
        "(component (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m))
            (core module $r (func (export \"run\") (result i32) (i32.const 0)))
            (core instance $i (instantiate $r))
            (func $run (result (result)) (canon lift (core func $i \"run\")))
            (instance $run (export \"run\" (func $run)))
            (export \"wasi:cli/run@0.2.0\" (instance $run)))",
    );
    assert_eq!(instances.run().ending().status, 0);
    instances.limits.instances = Some(2);
    let finished = instances.run();
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert!(
        ending.message.contains("over its limit of instances"),
        "{}",
        ending.message
    );
}
