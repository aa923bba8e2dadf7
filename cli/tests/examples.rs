//! The examples are valid, and do what their READMEs say.
//!
//! They run here under wasmtime itself, with the file tree that a Keep would give them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use enarx_owner_compiler::Program;
use enarx_owner_deployer::application::{Application, DataSource, LoadOptions};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::{
    FsPerms, I32Exit, WasiCtxBuilder,
    p1::{WasiP1Ctx, add_to_linker_sync},
    p2::pipe::{MemoryInputPipe, MemoryOutputPipe},
};

/// What a program did.
struct Outcome {
    status: i32,
    stdout: String,
    stderr: String,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

fn load(folder: &Path, options: LoadOptions) -> Application {
    Application::load(folder, options).unwrap_or_else(|error| panic!("{error}"))
}

fn run(application: &Application, stdin: &'static str) -> Outcome {
    let tree = tempfile::tempdir().unwrap();
    for file in &application.files {
        let DataSource::Path(source) = &file.source else {
            panic!("not a file");
        };
        let target = tree.path().join(file.target.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(source, target).unwrap();
    }
    let (stdout, stderr) = (MemoryOutputPipe::new(4096), MemoryOutputPipe::new(4096));
    let context = WasiCtxBuilder::new()
        .args(&application.args)
        .envs(&application.env)
        .stdin(MemoryInputPipe::new(stdin))
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .preopened_dir(tree.path(), "/", FsPerms::ReadOnly)
        .unwrap()
        .build_p1();

    let engine = Engine::default();
    let wasm = application.program.bytes().unwrap();
    let program = Program::new(&*wasm).unwrap();
    let module = Module::new(&engine, program.wasm()).unwrap();
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |context| context).unwrap();
    let mut store = Store::new(&engine, context);
    let ended = linker
        .instantiate(&mut store, &module)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start"))
        .and_then(|start| start.call(&mut store, ()));
    let text = |pipe: &MemoryOutputPipe| String::from_utf8(pipe.contents().to_vec()).unwrap();
    Outcome {
        status: match ended {
            Ok(()) => 0,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(status)) => *status,
                None => panic!("{error:?}"),
            },
        },
        stdout: text(&stdout),
        stderr: text(&stderr),
    }
}

#[test]
fn hello_greets_and_shows_what_it_was_given() {
    let options = LoadOptions {
        args: vec!["one".into(), "two".into()],
        ..LoadOptions::default()
    };
    let outcome = run(&load(&example("hello"), options), "not read");
    assert_eq!(outcome.status, 0);
    assert_eq!(
        outcome.stdout,
        "Hello from a Keep!\nargument: one\nargument: two\ngreeting: nice to meet you\n"
    );
}

#[test]
fn hello_copies_its_input_and_takes_much_of_everything() {
    let long = "x".repeat(3_000_000);
    let options = LoadOptions {
        args: vec!["-".into()],
        env: vec![("GREETING".into(), "hi".into()), ("LONG".into(), long)],
        ..LoadOptions::default()
    };
    let outcome = run(&load(&example("hello"), options), "a line\n");
    assert_eq!(outcome.status, 0);
    assert_eq!(outcome.stdout, "Hello from a Keep!\na line\ngreeting: hi\n");
}

#[test]
fn confidential_tells_only_the_aggregate() {
    let outcome = run(&load(&example("confidential"), LoadOptions::default()), "");
    assert_eq!(outcome.status, 0);
    assert_eq!(
        outcome.stdout,
        "people:  8\ntotal:   606000\naverage: 75750\n"
    );
    assert_eq!(outcome.stderr, "");
}

#[test]
fn confidential_keeps_quiet_about_what_it_should_not_tell() {
    let outcome_of = |csv: &str| {
        let folder = tempfile::tempdir().unwrap();
        for name in ["average.wat", "Enarx.toml"] {
            fs::copy(example("confidential").join(name), folder.path().join(name)).unwrap();
        }
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/salaries.csv"), csv).unwrap();
        run(&load(folder.path(), LoadOptions::default()), "")
    };
    let few = outcome_of("name,department,salary\nA,B,1\nC,D,2\nE,F,3\nG,H,4\n");
    assert_eq!((few.status, few.stdout.as_str()), (3, ""));
    for wrong in [
        "A,B,1x",
        "A,B,",
        "A,B",
        "A,B,1,2",
        "A,B,1234567890123",
        "A,B,-1",
    ] {
        let outcome = outcome_of(&format!("name,department,salary\n{wrong}\n"));
        assert_eq!(outcome.status, 2, "{wrong}");
        assert_eq!(outcome.stderr, "malformed line 2\n", "{wrong}");
    }
    // No line feed at the end, and lines that end like on Windows.
    let odd = outcome_of("h\r\na,b,1\r\na,b,2\r\na,b,3\r\na,b,4\r\na,b,5");
    assert_eq!(odd.stdout, "people:  5\ntotal:   15\naverage: 3\n");
}
