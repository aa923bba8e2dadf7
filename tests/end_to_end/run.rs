//! `enarx run`.

use crate::harness::{Place, echo, in_every_keep, program};

in_every_keep!(
    output_and_status_are_the_programs_own,
    every_status_is_passed_through,
    input_streams_through_the_keep,
    a_trap_is_told_with_its_backtrace,
    memory_is_guarded_either_way,
    every_kind_of_fault_is_a_trap,
    a_gibibyte_of_memory_is_zero_and_can_be_written,
    a_large_program_is_whole_compiled_or_from_the_cache,
    a_component_runs_with_wasi_preview_2,
    a_component_runs_with_wasi_preview_3_where_that_is_allowed,
    limits_end_the_program_with_a_reason,
    a_missing_import_is_named,
    arguments_environment_and_files_reach_the_program_and_nothing_else_does,
    a_package_runs_with_its_key_and_not_without,
);

#[test]
fn without_a_tee_and_without_a_flag_nothing_runs() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let finished = place.run(["run".as_ref(), module.as_os_str()]);
    assert_ne!(finished.status, 0);
    finished.says("--backend process").says("--simulate");
}

fn output_and_status_are_the_programs_own(place: &Place) {
    let module = place.file(
        "app.wat",
        program(
            "outerr",
            "(call $write (i32.const 1) (i32.const 1024) (i32.const 3))
             (call $write (i32.const 2) (i32.const 1027) (i32.const 3))
             (call $proc_exit (i32.const 113))",
        ),
    );
    let module = module.to_str().unwrap();
    for arguments in [
        &["run", "--simulate", module][..],
        &["run", "--simulate", "--suite", "dhkem-x25519", module],
        &["run", "--simulate", "--no-cache", module],
    ] {
        let finished = place.run(arguments).expect(113);
        assert_eq!(finished.text(), "out");
        assert!(finished.stderr.ends_with("err"), "{}", finished.stderr);
    }
}

fn every_status_is_passed_through(place: &Place) {
    for status in [0, 1, 42, 120, 134, 255] {
        let module = place.file(
            "app.wat",
            program("", &format!("(call $proc_exit (i32.const {status}))")),
        );
        place
            .run(["run", "--simulate", module.to_str().unwrap()])
            .expect(status);
    }
}

fn input_streams_through_the_keep(place: &Place) {
    let module = place.file("echo.wat", echo());
    let input: Vec<u8> = (0..3_000_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let finished = place
        .run_with_input(["run", "--simulate", module.to_str().unwrap()], &input)
        .expect(0);
    assert!(finished.stdout == input, "{} bytes", finished.stdout.len());
}

fn a_trap_is_told_with_its_backtrace(place: &Place) {
    let module = place.file(
        "trap.wat",
        "(module (memory (export \"memory\") 1)
           (func $deep (drop (i32.load (i32.const 0x7fffffff))))
           (func (export \"_start\") (call $deep)))",
    );
    place
        .run(["run", "--simulate", module.to_str().unwrap()])
        .expect(134)
        .says("out of bounds")
        .says("deep");
}

/// By pages and signals, or in the program's own code.
fn memory_is_guarded_either_way(place: &Place) {
    let inside = place.file(
        "inside.wat",
        "(module (memory (export \"memory\") 1)
           (func (export \"_start\")
             (drop (memory.grow (i32.const 100)))
             (i32.store (i32.const 6619132) (i32.const 1))
             (if (i32.ne (i32.load (i32.const 6619132)) (i32.const 1)) (then unreachable))))",
    );
    let outside = place.file(
        "outside.wat",
        "(module (memory (export \"memory\") 1)
           (func (export \"_start\") (drop (i32.load (i32.const 65533)))))",
    );
    for strategy in [&[][..], &["--bounded-memory"]] {
        let run = |module: &std::path::Path| {
            let module = [module.to_str().unwrap()];
            place.run([&["run", "--simulate"], strategy, &module].concat())
        };
        run(&inside).expect(0);
        run(&outside).expect(134).says("out of bounds");
    }
}

/// Some of these are null pointers in machine code, which a host must not be able to fill.
fn every_kind_of_fault_is_a_trap(place: &Place) {
    // Zero that no compiler can know.
    const ZERO: &str = "(i32.load (i32.const 64))";
    for (name, functions, body, words) in [
        (
            "division",
            "",
            format!("(drop (i32.div_s (i32.const 1) {ZERO}))"),
            "integer divide by zero",
        ),
        (
            "null element",
            "",
            format!("(call_indirect (type $nothing) {ZERO})"),
            "uninitialized element",
        ),
        (
            "element",
            "",
            format!("(call_indirect (type $nothing) (i32.sub {ZERO} (i32.const 1)))"),
            "out of bounds",
        ),
        (
            "stack",
            "(func $deeper (param i32) (result i32)
               (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))",
            format!("(drop (call $deeper {ZERO}))"),
            "call stack exhausted",
        ),
        ("unreachable", "", "unreachable".into(), "unreachable"),
    ] {
        let module = format!(
            "(module (type $nothing (func)) (table 4 funcref) (memory (export \"memory\") 1)
               {functions} (func (export \"_start\") {body}))"
        );
        let module = place.file(&format!("{name}.wat"), module);
        place
            .run(["run", "--simulate", module.to_str().unwrap()])
            .expect(134)
            .says(words);
    }
}

fn a_gibibyte_of_memory_is_zero_and_can_be_written(place: &Place) {
    // Touched once each 4 KiB.
    let module = place.file(
        "grow.wat",
        program(
            "",
            "(local $address i32)
             (if (i32.eq (memory.grow (i32.const 16383)) (i32.const -1)) (then unreachable))
             (local.set $address (i32.const 65536))
             (loop $again
               (if (i32.load (local.get $address)) (then unreachable))
               (i32.store (local.get $address) (i32.const 7))
               (if (i32.ne (i32.load (local.get $address)) (i32.const 7)) (then unreachable))
               (local.set $address (i32.add (local.get $address) (i32.const 4096)))
               (br_if $again (i32.lt_u (local.get $address) (i32.const 0x40000000))))",
        ),
    );
    let memory = ["--keep-memory", "1280MiB"];
    place
        .run(
            [
                &["run", "--simulate"],
                &memory[..],
                &[module.to_str().unwrap()],
            ]
            .concat(),
        )
        .expect(0);
}

/// Larger than what is held in memory on its way, or made of small pages.
fn a_large_program_is_whole_compiled_or_from_the_cache(place: &Place) {
    const SIZE: usize = 5 << 20;
    let data: String = (0..SIZE)
        .map(|index| char::from(b'a' + (index * index % 23) as u8))
        .collect();
    let (words, _) = data.as_bytes().as_chunks::<8>();
    let sum = words.iter().fold(0i64, |sum, word| {
        sum.wrapping_mul(31).wrapping_add(i64::from_le_bytes(*word))
    });
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 96)
            (data (i32.const 65536) "{data}")
            (func (export "_start") (local $at i32) (local $sum i64)
              (loop $next
                (local.set $sum (i64.add
                  (i64.mul (local.get $sum) (i64.const 31))
                  (i64.load offset=65536 (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const {SIZE}))))
              (call $proc_exit (i64.eq (local.get $sum) (i64.const {sum})))))"#
    );
    let module = place.file("large.wasm", wat::parse_str(text).unwrap());
    for _ in 0..2 {
        place
            .run(["run", "--simulate", module.to_str().unwrap()])
            .expect(1);
    }
}

fn a_component_runs_with_wasi_preview_2(place: &Place) {
    let component = place.file(
        "component.wat",
        r#"(component
          (core module $main (func (export "run") (result i32) (i32.const 1)))
          (core instance $main (instantiate $main))
          (func $run (result (result)) (canon lift (core func $main "run")))
          (component $wrapper
            (import "run" (func $run (result (result))))
            (export "run" (func $run)))
          (instance $command (instantiate $wrapper (with "run" (func $run))))
          (export "wasi:cli/run@0.2.0" (instance $command)))"#,
    );
    // `run` gives the error case, which is status 1.
    place
        .run(["run", "--simulate", component.to_str().unwrap()])
        .expect(1);
}

fn a_component_runs_with_wasi_preview_3_where_that_is_allowed(place: &Place) {
    let component = include_str!("../../keep/runtime/tests/keep/components/preview3.wat");
    place.file("streaming/main.wat", component);
    let configuration = "args = [\"argument\"]\n[env]\nNAME = \"-value\"\n";
    place.file("streaming/Enarx.toml", configuration);
    let arguments = ["run", "--simulate", "streaming"];
    let refused = place.run(arguments);
    assert_ne!(refused.status, 0);
    refused.says("`preview3 = true` under [wasi] of Enarx.toml");
    let allowing = format!("{configuration}[wasi]\npreview3 = true\n[network]\n");
    place.file("streaming/Enarx.toml", allowing);
    let finished = place.run(arguments).expect(0);
    assert_eq!(finished.text(), "argumentNAME-value");
}

fn limits_end_the_program_with_a_reason(place: &Place) {
    let endless = place.file("endless.wat", program("", "(loop $again (br $again))"));
    place
        .run([
            "run",
            "--simulate",
            "--timeout",
            "300ms",
            endless.to_str().unwrap(),
        ])
        .expect(124)
        .says("limit of time");
    let hungry = place.file(
        "hungry.wat",
        program(
            "",
            "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))",
        ),
    );
    let hungry = hungry.to_str().unwrap();
    place.run(["run", "--simulate", hungry]).expect(0);
    place
        .run(["run", "--simulate", "--memory-limit", "1MiB", hungry])
        .expect(124)
        .says("limit");
}

#[test]
fn what_is_not_webassembly_is_named() {
    let place = Place::new();
    for (name, contents, words) in [
        ("empty.wasm", &b""[..], "empty"),
        ("elf.wasm", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "ELF"),
        (
            "cut.wasm",
            b"\0asm\x01\0\0\0\x01\x7f",
            "invalid WebAssembly",
        ),
        (
            "text.wat",
            b"(module (func (export \"_start\") (nonsense)))",
            "nonsense",
        ),
    ] {
        let file = place.file(name, contents);
        let finished = place.run(["run", "--simulate", file.to_str().unwrap()]);
        assert_ne!(finished.status, 0, "{name}");
        // It is said before a Keep is started.
        let stderr = &finished.stderr;
        assert!(!stderr.contains("simulated"), "{stderr}");
        finished.says(words);
    }
    place
        .run(["run", "--simulate", "absent.wasm"])
        .expect(125)
        .says("absent.wasm");
}

#[test]
fn an_unsupported_proposal_is_named() {
    let place = Place::new();
    let shared = place.file(
        "threads.wat",
        "(module (memory (export \"memory\") 1 1 shared)
           (func (export \"_start\") (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))",
    );
    let finished = place.run(["run", "--simulate", shared.to_str().unwrap()]);
    assert_ne!(finished.status, 0);
    finished.says("threads");
}

fn a_missing_import_is_named(place: &Place) {
    let module = place.file(
        "import.wat",
        "(module (import \"env\" \"unheard_of\" (func)) (func (export \"_start\")))",
    );
    let finished = place.run(["run", "--simulate", module.to_str().unwrap()]);
    assert_ne!(finished.status, 0);
    // It is said before a Keep is started.
    let stderr = &finished.stderr;
    assert!(!stderr.contains("simulated"), "{stderr}");
    finished.says("env::unheard_of");
}

#[test]
fn an_unknown_key_of_a_configuration_is_named_with_its_place() {
    let place = Place::new();
    place.file("app/main.wat", program("", ""));
    place.file(
        "app/Enarx.toml",
        "args = []\n\n[limits]\nmemroy = \"1MiB\"\n",
    );
    place
        .run(["run", "--simulate", "app"])
        .expect(125)
        .says("memroy")
        .says("4");
}

fn arguments_environment_and_files_reach_the_program_and_nothing_else_does(place: &Place) {
    place.file("data/secret.txt", "the secret\n");
    let module = place.file("cat.wat", CAT);
    let finished = place
        .run([
            "run",
            "--simulate",
            "--env",
            "NAME=value",
            "--mount",
            "data:/data",
            module.to_str().unwrap(),
            "--",
            "one",
            "two words",
        ])
        .expect(0);
    let text = finished.text();
    assert_eq!(
        text.split_terminator('\0').collect::<Vec<_>>(),
        [
            "cat.wat",
            "one",
            "two words",
            "NAME=value",
            "FD_COUNT=3",
            "FD_NAMES=stdin:stdout:stderr",
            "the secret\n"
        ]
    );
}

/// Writes its arguments and its environment, NUL behind each, and the file
/// /data/secret.txt.
const CAT: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "data/secret.txt")
  (func $out (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (drop (call $args_sizes (i32.const 16) (i32.const 20)))
    (drop (call $args (i32.const 1024) (i32.const 4096)))
    (call $out (i32.const 4096) (i32.load (i32.const 20)))
    (drop (call $env_sizes (i32.const 16) (i32.const 20)))
    (drop (call $env (i32.const 1024) (i32.const 8192)))
    (call $out (i32.const 8192) (i32.load (i32.const 20)))
    ;; Descriptor 3 is the root of the file tree.
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 15) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const 12288))
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $out (i32.const 12288) (i32.load (i32.const 8)))))"#;

fn a_package_runs_with_its_key_and_not_without(place: &Place) {
    let module = place.file(
        "app.wat",
        program(
            "hi",
            "(call $write (i32.const 1) (i32.const 1024) (i32.const 2))",
        ),
    );
    let module = module.to_str().unwrap();
    place
        .run([
            "package",
            "build",
            module,
            "--output",
            "app.enarx",
            "--key",
            "app.key",
        ])
        .expect(0);
    place
        .run(["package", "verify", "app.enarx", "--key", "app.key"])
        .expect(0);
    let finished = place
        .run(["run", "--simulate", "--key", "app.key", "app.enarx"])
        .expect(0);
    assert_eq!(finished.text(), "hi");
    let keyless = place.run(["run", "--simulate", "app.enarx"]);
    assert_ne!(keyless.status, 0);
    keyless.says("--key");
    place
        .run([
            "package", "build", module, "--output", "b.enarx", "--key", "b.key",
        ])
        .expect(0);
    let other = place.run(["run", "--simulate", "--key", "b.key", "app.enarx"]);
    assert_ne!(other.status, 0);
    other.says("key");
}

#[test]
fn a_package_at_rest_says_what_its_files_are() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    place.file("data.txt", "abc");
    place
        .run([
            "package",
            "build",
            module.to_str().unwrap(),
            "--mount",
            "data.txt:/data.txt",
            "--output",
            "app.enarx",
            "--key",
            "app.key",
        ])
        .expect(0);
    let shown = place
        .run([
            "package",
            "inspect",
            "--json",
            "app.enarx",
            "--key",
            "app.key",
        ])
        .expect(0);
    // SHA-384 of "abc" (FIPS 180-4, appendix D.1).
    assert!(
        shown
            .text()
            .contains("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163")
    );
}

#[test]
fn what_a_package_says_cannot_confuse_a_terminal() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    place.file("data.txt", "abc");
    place
        .run([
            "package",
            "build",
            module.to_str().unwrap(),
            "--mount",
            "data.txt:/da\x1b[31mta",
            "--env",
            "A\x1b[2J=1",
            "--output",
            "app.enarx",
            "--key",
            "app.key",
        ])
        .expect(0);
    let shown = place.run(["package", "inspect", "app.enarx", "--key", "app.key"]);
    assert!(!shown.text().contains('\x1b'), "{:?}", shown.text());
    shown
        .expect(0)
        .prints("/da\u{fffd}[31mta")
        .prints("A\u{fffd}[2J");
}

#[test]
fn a_full_disk_while_a_package_is_written_leaves_no_package() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let module = module.to_str().unwrap();
    let finished = place.run([
        "package",
        "build",
        module,
        "--output",
        "/dev/full",
        "--key",
        "k",
    ]);
    assert_ne!(finished.status, 0);
    assert!(!place.path().join("app.enarx").exists());
}

#[test]
fn a_damaged_cache_is_repaired() {
    let place = Place::new();
    let module = place.file(
        "app.wat",
        program(
            "hi",
            "(call $write (i32.const 1) (i32.const 1024) (i32.const 2))",
        ),
    );
    let cache = place.path().join("cache");
    let run = || {
        let output = place
            .enarx(["run", "--simulate", module.to_str().unwrap()])
            .env("XDG_CACHE_HOME", &cache)
            .output()
            .unwrap();
        assert_eq!(
            output.stdout,
            b"hi",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run();
    let files: Vec<_> = files_below(&cache)
        .into_iter()
        .filter(|path| std::fs::metadata(path).unwrap().len() > 1000)
        .collect();
    assert!(!files.is_empty());
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        put_in_place(file, &bytes);
    }
    run();
    for file in &files {
        put_in_place(file, b"");
    }
    run();
}

/// Replaces a file. One that is executed cannot be written to, and a Keep's process may last
/// moments longer than the command.
fn put_in_place(file: &std::path::Path, contents: &[u8]) {
    let other = file.with_extension("other");
    std::fs::write(&other, contents).unwrap();
    std::fs::rename(&other, file).unwrap();
}

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
