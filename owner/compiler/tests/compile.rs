//! Compilation as a user of the crate sees it.

use std::io::Read as _;

use enarx_owner_compiler::{
    Artifact, ArtifactCache, CompileError, Origin, Program, ProgramKind, compile,
};
use enarx_wire_target::{Calls, CompileTarget, MemoryStrategy, TargetError, WASMTIME_VERSION};

fn target() -> CompileTarget {
    CompileTarget::detect(MemoryStrategy::GuardPages).unwrap()
}

fn bytes(artifact: &Artifact) -> Vec<u8> {
    let mut bytes = Vec::new();
    artifact.code.reader().read_to_end(&mut bytes).unwrap();
    bytes
}

fn failure(text: &str) -> CompileError {
    let program = Program::new(text.as_bytes()).unwrap();
    compile(
        &program,
        &target(),
        Calls::Synchronous,
        &ArtifactCache::disabled(),
    )
    .unwrap_err()
}

#[test]
fn the_cache_gives_what_compilation_gave_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::open(&directory.path().join("cache"), 1 << 30).unwrap();
    let program = Program::new(b"(module (func (export \"_start\")))").unwrap();

    let first = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
    assert!(matches!(first.origin, Origin::Compiled(None)));
    assert_eq!(first.program, program.id());

    let second = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
    assert!(matches!(second.origin, Origin::Cache));
    assert!(bytes(&first) == bytes(&second));

    let bounded = CompileTarget::detect(MemoryStrategy::Bounded).unwrap();
    let other = compile(&program, &bounded, Calls::Synchronous, &cache).unwrap();
    assert!(matches!(other.origin, Origin::Compiled(None)));
    assert!(bytes(&first) != bytes(&other));

    for entry in std::fs::read_dir(directory.path().join("cache")).unwrap() {
        let path = entry.unwrap().path();
        let length = std::fs::metadata(&path).unwrap().len();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(length / 2).unwrap();
    }
    let healed = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
    assert!(matches!(healed.origin, Origin::Compiled(Some(_))));
    assert!(bytes(&first) == bytes(&healed));
    let again = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
    assert!(matches!(again.origin, Origin::Cache));
}

#[test]
fn an_unwritable_cache_does_not_stop_compilation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let cache = ArtifactCache::open(&path, 1 << 30).unwrap();
    std::fs::remove_dir(&path).unwrap();
    let program = Program::new(b"(module)").unwrap();
    let artifact = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
    assert!(matches!(artifact.origin, Origin::Compiled(Some(_))));
}

#[test]
fn components_compile() {
    let program = Program::new(b"(component (core module (func (export \"f\"))))").unwrap();
    let artifact = compile(
        &program,
        &target(),
        Calls::Synchronous,
        &ArtifactCache::disabled(),
    )
    .unwrap();
    assert_eq!(artifact.program.kind, ProgramKind::Component);
}

#[test]
fn asynchronous_calls_are_compiled_where_they_are_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::open(directory.path(), 1 << 30).unwrap();
    let program = Program::new(b"(component (core func (canon waitable-set.new)))").unwrap();
    let error = compile(&program, &target(), Calls::Synchronous, &cache).unwrap_err();
    assert!(error.to_string().contains("`preview3 = true`"), "{error}");
    compile(&program, &target(), Calls::Asynchronous, &cache).unwrap();

    // Code for the one is never taken for the other.
    let program = Program::new(b"(component)").unwrap();
    for calls in [Calls::Synchronous, Calls::Asynchronous] {
        let artifact = compile(&program, &target(), calls, &cache).unwrap();
        assert!(matches!(artifact.origin, Origin::Compiled(None)));
        let config = target().engine_config(calls).unwrap();
        let engine = wasmtime::Engine::new(&config).unwrap();
        // SAFETY: the bytes come from this wasmtime's own compiler.
        let load = |engine| unsafe {
            wasmtime::component::Component::deserialize(engine, bytes(&artifact))
        };
        assert!(load(&engine).is_ok());
        let other = match calls {
            Calls::Synchronous => Calls::Asynchronous,
            Calls::Asynchronous => Calls::Synchronous,
        };
        let config = target().engine_config(other).unwrap();
        assert!(load(&wasmtime::Engine::new(&config).unwrap()).is_err());
    }
}

#[test]
fn threads_do_not_change_the_bytes() {
    let mut text = String::from("(module (memory 1)");
    for number in 0..200 {
        text.push_str(&format!(
            "(func (export \"f{number}\") (param i32) (result i64)
               (i64.load offset={number} (i32.add (local.get 0) (i32.const {number}))))"
        ));
    }
    text.push(')');
    let program = Program::new(text.as_bytes()).unwrap();
    let parallel = compile(
        &program,
        &target(),
        Calls::Synchronous,
        &ArtifactCache::disabled(),
    )
    .unwrap();
    let mut config = target().compiler_config(Calls::Synchronous).unwrap();
    config.parallel_compilation(false);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let sequential = engine.precompile_module(program.wasm()).unwrap();
    assert!(bytes(&parallel) == sequential);
}

#[test]
fn invalid_programs_are_explained() {
    let error = failure("(module (func (export \"f\") (result i32)))");
    let CompileError::Invalid(reason) = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("type mismatch"), "{reason}");

    let error = failure("(module (memory 1 (pagesize 1)))");
    let CompileError::UnsupportedProposal(names) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(names, &["custom-page-sizes"]);

    // A function body cut off in the middle.
    let program =
        Program::new(b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x09").unwrap();
    let error = compile(
        &program,
        &target(),
        Calls::Synchronous,
        &ArtifactCache::disabled(),
    )
    .unwrap_err();
    assert!(matches!(error, CompileError::Invalid(_)), "{error:?}");
}

#[test]
fn unsupported_targets_are_refused() {
    let program = Program::new(b"(module)").unwrap();
    let other = CompileTarget::new(
        WASMTIME_VERSION,
        "riscv64gc-unknown-linux-gnu",
        [],
        MemoryStrategy::GuardPages,
    )
    .unwrap();
    let error = compile(
        &program,
        &other,
        Calls::Synchronous,
        &ArtifactCache::disabled(),
    )
    .unwrap_err();
    assert!(matches!(
        error,
        CompileError::Target(TargetError::Triple { .. })
    ));
}

#[test]
#[ignore = "a measurement"]
fn how_fast_the_cache_is() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::open(&directory.path().join("cache"), 1 << 30).unwrap();
    let functions: String = (0..250_000)
        .map(|number| {
            format!(
                "(func (param i32) (result i64)
                   (i64.load offset={number} (i32.mul (local.get 0) (i32.const {number}))))"
            )
        })
        .collect();
    let large = format!("(module (memory 1) {functions})");
    for text in ["(module (func (export \"_start\")))", &large] {
        let wasm = wat::parse_str(text).unwrap();
        compile(
            &Program::new(&wasm).unwrap(),
            &target(),
            Calls::Synchronous,
            &cache,
        )
        .unwrap();
        let runs = 20;
        let mut program_time = std::time::Duration::ZERO;
        let mut load_time = std::time::Duration::ZERO;
        let mut size = 0;
        for _ in 0..runs {
            let start = std::time::Instant::now();
            let program = Program::new(&wasm).unwrap();
            program_time += start.elapsed();
            let start = std::time::Instant::now();
            let artifact = compile(&program, &target(), Calls::Synchronous, &cache).unwrap();
            load_time += start.elapsed();
            assert!(matches!(artifact.origin, Origin::Cache));
            size = artifact.code.size();
        }
        println!(
            "program of {} bytes: recognized in {:?}; artifact of {size} bytes: loaded in {:?}",
            wasm.len(),
            program_time / runs,
            load_time / runs
        );
    }
}
