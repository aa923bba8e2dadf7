//! Programs in a Keep: what they find, and how they end.

use std::time::{Duration, Instant};

use crate::support::Application;
use enarx_wire_hostcall::envelope::Kind;
use enarx_wire_package::{DescriptorKind, Limits, WorkloadKind};
use enarx_wire_provision::{Cause, Input, InputWriter};

/// A module of WASI preview 1 with `imports` and the functions of `body`.
fn module(imports: &[&str], body: &str) -> String {
    let imports: String = imports
        .iter()
        .map(|import| {
            let (name, signature) = import.split_once(' ').unwrap();
            format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {signature}))\n")
        })
        .collect();
    format!("(module {imports} (memory (export \"memory\") 4) {body})")
}

const FD_WRITE: &str = "fd_write (param i32 i32 i32 i32) (result i32)";
const FD_READ: &str = "fd_read (param i32 i32 i32 i32) (result i32)";

/// Writes `length` bytes at `start` to a descriptor.
const PRINT: &str = "(func $print (param $fd i32) (param $start i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $start))
    (i32.store (i32.const 4) (local.get $length))
    (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))";

/// Copies a descriptor to standard output until its end.
const COPY: &str = "(func $copy (param $fd i32)
    (block $end (loop $next
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 65536))
        (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
        (br_if $end (i32.eqz (i32.load (i32.const 8))))
        (call $print (i32.const 1) (i32.const 65536) (i32.load (i32.const 8)))
        (br $next))))";

fn spin() -> String {
    module(&[], "(func (export \"_start\") (loop $again (br $again)))")
}

#[test]
fn output_and_status_arrive() {
    let text = module(
        &[FD_WRITE, "proc_exit (param i32)"],
        &format!(
            "(data (i32.const 64) \"out\\0aerr\\0a\") {PRINT}
            (func (export \"_start\")
                (call $print (i32.const 1) (i32.const 64) (i32.const 4))
                (call $print (i32.const 2) (i32.const 68) (i32.const 4))
                (call $proc_exit (i32.const 42)))"
        ),
    );
    let finished = Application::new(&text).run();
    assert_eq!(finished.stdout, b"out\n");
    assert_eq!(finished.stderr, b"err\n");
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Exited, 42));
    // The host must not learn the status.
    assert_eq!(finished.exit, Some(0));
}

#[test]
fn arguments_and_environment_arrive() {
    let sizes = "(param i32 i32) (result i32)";
    let text = module(
        &[
            FD_WRITE,
            &format!("args_sizes_get {sizes}"),
            &format!("args_get {sizes}"),
            &format!("environ_sizes_get {sizes}"),
            &format!("environ_get {sizes}"),
        ],
        &format!(
            "{PRINT}
            (func (export \"_start\")
                (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
                (drop (call $args_get (i32.const 1024) (i32.const 8192)))
                (call $print (i32.const 1) (i32.const 8192) (i32.load (i32.const 20)))
                (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
                (drop (call $environ_get (i32.const 1024) (i32.const 8192)))
                (call $print (i32.const 2) (i32.const 8192) (i32.load (i32.const 20))))"
        ),
    );
    let mut application = Application::new(&text);
    application.args = vec!["zero", "one two", ""];
    application.env = vec![("A", "1"), ("FD_COUNT", "99"), ("B", "=x")];
    application.descriptors = vec![
        (DescriptorKind::Null, "nothing"),
        (DescriptorKind::Stdout, "stdout"),
        (DescriptorKind::Stderr, "log"),
    ];
    let finished = application.run();
    assert_eq!(finished.stdout, b"zero\0one two\0\0");
    assert_eq!(
        finished.stderr,
        b"A=1\0B==x\0FD_COUNT=3\0FD_NAMES=nothing:stdout:log\0"
    );
    assert_eq!(finished.ending().status, 0);

    // Programs that count their variables can do without those two.
    application.env = vec![("FD_COUNT", ""), ("A", "1"), ("FD_NAMES", "")];
    assert_eq!(application.run().stderr, b"A=1\0");
}

#[test]
fn standard_input_is_piped_whole() {
    let text = module(
        &[FD_WRITE, FD_READ],
        &format!("{PRINT} {COPY} (func (export \"_start\") (call $copy (i32.const 0)))"),
    );
    let mut application = Application::new(&text);
    let input: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    application.stdin = &input;
    let finished = application.run();
    assert!(finished.stdout == input);
    assert_eq!(finished.ending().status, 0);
}

#[test]
fn packaged_files_are_found() {
    let text = module(
        &[
            FD_WRITE,
            FD_READ,
            "path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
            "proc_exit (param i32)",
        ],
        &format!(
            "(data (i32.const 64) \"data/numbers\") {PRINT} {COPY}
            (func (export \"_start\") (local $error i32)
                (local.set $error (call $path_open
                    (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 12) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
                (if (local.get $error) (then (call $proc_exit (local.get $error))))
                (call $copy (i32.load (i32.const 32))))"
        ),
    );
    let mut application = Application::new(&text);
    let numbers = vec![9; 200_000];
    application.files = vec![("/data/numbers", &numbers), ("/other", b"")];
    let (keep, secret) = application.start();
    let tree = keep.directory().join("keep");
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().status, 0, "{:?}", finished.ending());
    assert!(finished.stdout == numbers);
    assert!(!tree.join("missing").exists());
}

#[test]
fn components_run() {
    let component = |status: u32| {
        format!(
            "(component
              (core module $m (func (export \"run\") (result i32) i32.const {status}))
              (core instance $i (instantiate $m))
              (func $run (result (result)) (canon lift (core func $i \"run\")))
              (component $interface
                (import \"run\" (func $f (result (result))))
                (export \"run\" (func $f)))
              (instance $instance (instantiate $interface (with \"run\" (func $run))))
              (export \"wasi:cli/run@0.2.0\" (instance $instance)))"
        )
    };
    for status in [0, 1] {
        let text = component(status);
        let mut application = Application::new(&text);
        application.kind = WorkloadKind::Component;
        let finished = application.run();
        assert_eq!(finished.ending().cause, Cause::Exited);
        assert_eq!(u32::from(finished.ending().status), status);
    }
}

#[test]
fn traps_show_their_place() {
    let text = module(
        &[],
        "(func $boom unreachable) (func $middle (call $boom)) (func (export \"_start\") (call $middle))",
    );
    let finished = Application::new(&text).run();
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Trapped, 134));
    for part in ["boom", "middle", "unreachable"] {
        assert!(ending.message.contains(part), "{}", ending.message);
    }
    assert_eq!(finished.exit, Some(0));
}

#[test]
fn every_kind_of_fault_is_a_trap() {
    let bodies = [
        ("(i32.load (i32.const -4)) drop", "out of bounds"),
        (
            "(i32.div_s (i32.const 1) (i32.const 0)) drop",
            "divide by zero",
        ),
        ("(call $self)", "call stack exhausted"),
    ];
    for (body, reason) in bodies {
        let text = module(&[], &format!("(func $self (export \"_start\") {body})"));
        let finished = Application::new(&text).run();
        let ending = finished.ending();
        assert_eq!(ending.cause, Cause::Trapped, "{ending:?}");
        assert!(ending.message.contains(reason), "{}", ending.message);
    }
}

#[test]
fn a_spinning_program_ends_at_its_limit() {
    let text = spin();
    let mut application = Application::new(&text);
    application.limits.wall_milliseconds = Some(300);
    let started = Instant::now();
    let finished = application.run();
    assert!(started.elapsed() < Duration::from_secs(20));
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Limit, 124));
    assert_eq!(finished.exit, Some(0));
}

#[test]
fn a_spinning_program_can_be_stopped() {
    let text = spin();
    let (mut keep, secret) = Application::new(&text).start();
    let mut input = InputWriter::new(&secret, 1, [1; 16]);
    keep.send(Kind::Input, &input.frame(&Input::Stop).unwrap());
    let finished = keep.finish(&secret);
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Stopped, 143));
}

#[test]
fn memory_is_limited() {
    let grow = "(func (export \"_start\")
        (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)))";
    let limited = |text: &str, pages: u64| {
        let mut application = Application::new(text);
        application.limits = Limits {
            memory_bytes: Some(pages << 16),
            ..Limits::default()
        };
        application.run().ending().clone()
    };
    let text = module(&[], grow);
    assert_eq!(limited(&text, 104).cause, Cause::Exited);
    for pages in [103, 3] {
        let ending = limited(&text, pages);
        assert_eq!(
            (ending.cause, ending.status),
            (Cause::Limit, 124),
            "{ending:?}"
        );
        let allowed = format!("{} are allowed", pages << 16);
        assert!(ending.message.contains(&allowed), "{}", ending.message);
    }
}

#[test]
fn the_clock_is_never_before_the_owners() {
    let text = module(
        &[FD_WRITE, "clock_time_get (param i32 i64 i32) (result i32)"],
        &format!(
            "{PRINT} (func (export \"_start\")
                (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 64)))
                (call $print (i32.const 1) (i32.const 64) (i32.const 8)))"
        ),
    );
    let mut application = Application::new(&text);
    application.floor = 9_000_000_000;
    let finished = application.run();
    let nanoseconds = u64::from_le_bytes(finished.stdout.try_into().unwrap());
    let seconds = nanoseconds / 1_000_000_000;
    assert!(
        (9_000_000_000..9_000_001_000).contains(&seconds),
        "{seconds}"
    );
}

#[test]
fn randomness_differs() {
    let text = module(
        &[FD_WRITE, "random_get (param i32 i32) (result i32)"],
        &format!(
            "{PRINT} (func (export \"_start\")
                (drop (call $random_get (i32.const 64) (i32.const 33)))
                (call $print (i32.const 1) (i32.const 64) (i32.const 33)))"
        ),
    );
    let outputs = [(), ()].map(|()| Application::new(&text).run().stdout);
    assert_eq!(outputs[0].len(), 33);
    assert_ne!(outputs[0], outputs[1]);
}

#[test]
fn what_is_no_program_is_refused_with_a_reason() {
    let refusal = |application: Application<'_>| {
        let finished = application.run();
        let ending = finished.ending();
        assert_eq!((ending.cause, ending.status), (Cause::Refused, 126));
        ending.message.clone()
    };
    let message = refusal(Application::new("(module (func (export \"main\")))"));
    assert!(message.contains("_start"), "{message}");
    let text = "(module (import \"env\" \"secret\" (func)) (func (export \"_start\")))";
    let message = refusal(Application::new(text));
    assert!(
        message.contains("env") && message.contains("secret"),
        "{message}"
    );
}

#[test]
fn streams_stand_where_the_manifest_puts_them() {
    let text = module(
        &[FD_WRITE, FD_READ],
        &format!(
            "(data (i32.const 64) \"out\\0aerr\\0anil\\0a\") {PRINT} {COPY}
            (func (export \"_start\")
                (call $print (i32.const 0) (i32.const 64) (i32.const 4))
                (call $print (i32.const 3) (i32.const 68) (i32.const 4))
                (call $print (i32.const 1) (i32.const 72) (i32.const 4))
                (call $copy (i32.const 4)))"
        ),
    )
    .replace(
        "(call $print (i32.const 1) (i32.const 65536)",
        "(call $print (i32.const 0) (i32.const 65536)",
    );
    let mut application = Application::new(&text);
    application.descriptors = vec![
        (DescriptorKind::Stdout, "report"),
        (DescriptorKind::Null, "nothing"),
        (DescriptorKind::Null, "nothing"),
        (DescriptorKind::Stderr, "log"),
        (DescriptorKind::Stdin, "stdin"),
    ];
    application.stdin = b"input";
    let finished = application.run();
    assert_eq!(finished.stdout, b"out\ninput");
    assert_eq!(finished.stderr, b"err\n");
    assert_eq!(finished.ending().status, 0);
}
