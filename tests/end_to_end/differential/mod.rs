//! The same programs in Keeps and natively under wasmtime do the same.
//!
//! What a program does is what it writes, how it ends, and what becomes of its files. The last is
//! seen through the first: programs that change files report each answer, and what is there then.

mod files;
mod native;
mod proposals;
mod traps;

#[path = "../../corpus/src/random.rs"]
mod random;

use std::{fs, process::Command, sync::OnceLock};

use crate::harness::{Finished, Place, shared};

#[test]
fn in_processes() {
    the_same_as_natively(&Place::new());
}

#[test]
fn in_enclaves() {
    the_same_as_natively(&Place::with_backend("sgx"));
}

#[test]
fn in_virtual_machines() {
    if let Some(place) = Place::with_machines("kvm") {
        the_same_as_natively(&place);
    }
}

fn the_same_as_natively(place: &Place) {
    generated_modules_do_the_same(place);
    file_systems_answer_the_same(place);
    proposals_work(place);
    traps_are_told_apart(place);
}

/// Together with the others more than 200.
const FILE_SEQUENCES: u64 = 40;

fn generated_modules_do_the_same(place: &Place) {
    static CORPUS: OnceLock<Vec<Compared>> = OnceLock::new();
    let corpus = CORPUS.get_or_init(|| compared(generated()));
    assert!(corpus.len() >= 160, "{}", corpus.len());
    // They tell something, and not all of them end early.
    let ended = corpus.iter().filter(|each| each.natively.status == Some(0));
    assert!(ended.count() > 5);
    let wrote = corpus.iter().map(|each| each.natively.stdout.len());
    assert!(wrote.sum::<usize>() > 1_000);
    same_in_keep(place, corpus);
}

fn file_systems_answer_the_same(place: &Place) {
    static CORPUS: OnceLock<Vec<Compared>> = OnceLock::new();
    let programs = || (0..FILE_SEQUENCES).map(files::module);
    same_in_keep(place, CORPUS.get_or_init(|| compared(programs())));
}

fn proposals_work(place: &Place) {
    static CORPUS: OnceLock<Vec<Compared>> = OnceLock::new();
    let corpus = CORPUS.get_or_init(|| compared(proposals::modules()));
    for each in corpus {
        assert_eq!(
            each.natively.status,
            Some(0),
            "{}: {}",
            each.program.name,
            each.natively.failure
        );
    }
    same_in_keep(place, corpus);
}

fn traps_are_told_apart(place: &Place) {
    static CORPUS: OnceLock<Vec<Compared>> = OnceLock::new();
    let corpus = CORPUS.get_or_init(|| compared(traps::modules()));
    for each in corpus {
        assert_eq!(each.natively.status, None, "{}", each.program.name);
    }
    same_in_keep(place, corpus);
}

/// The modules of `tests/corpus`, which is built for it.
fn generated() -> Vec<Program> {
    let directory = shared().join("corpus");
    fs::create_dir_all(&directory).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/Cargo.toml");
    let built = concat!(env!("CARGO_TARGET_TMPDIR"), "/corpus");
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--manifest-path", source])
        .args(["--target-dir", built, "--"])
        .arg(&directory)
        .status();
    assert!(status.unwrap().success());
    let files = (0..).map(|number| directory.join(format!("{number}.wasm")));
    let modules = files.map_while(|file| fs::read(file).ok()).enumerate();
    let programs = modules.map(|(number, wasm)| Program {
        name: format!("generated-{number}"),
        wasm,
    });
    programs.collect()
}

/// A program of the corpus.
struct Program {
    name: String,
    wasm: Vec<u8>,
}

/// A program, and what it does under wasmtime itself.
struct Compared {
    program: Program,
    natively: native::Outcome,
}

fn compared(programs: impl IntoIterator<Item = Program>) -> Vec<Compared> {
    let native = native::Wasmtime::new();
    let programs = programs.into_iter();
    let compared = programs.map(|program| Compared {
        natively: native.run(&program.wasm),
        program,
    });
    compared.collect()
}

fn same_in_keep(place: &Place, corpus: &[Compared]) {
    for (name, contents) in native::FILES {
        place.file(&format!("data{name}"), contents);
    }
    for Compared { program, natively } in corpus {
        let module = place.file(&format!("{}.wasm", program.name), &program.wasm);
        let module = module.to_str().unwrap();
        let mut arguments = vec!["run", "--quiet", "--simulate", "--mount", "data:/"];
        arguments.extend(["--memory-limit", native::MEMORY_LIMIT, module, "--"]);
        arguments.extend(native::ARGUMENTS);
        let finished = place.run_with_input(arguments, native::INPUT);
        if let Some(difference) = difference(&finished, natively) {
            let name = &program.name;
            panic!(
                "{name}: {difference}\n--- in the Keep\n{finished:?}\n--- natively\n{natively:?}"
            );
        }
    }
}

/// What a program did otherwise in a Keep than natively.
fn difference(finished: &Finished, natively: &native::Outcome) -> Option<&'static str> {
    if finished.stdout != natively.stdout {
        return Some("its output differs");
    }
    match natively.status {
        Some(status) if finished.status != status => Some("its exit status differs"),
        Some(_) => None,
        None if natively.denied && finished.status != OVER_LIMIT => {
            Some("it has less memory natively")
        }
        None if !natively.denied && finished.status != TRAPPED => Some("it traps natively"),
        None if !finished.stderr.contains(&natively.failure) => Some("its trap differs"),
        None => None,
    }
}

/// The statuses of programs that trapped, and of those that then had been denied memory.
const TRAPPED: i32 = 134;
const OVER_LIMIT: i32 = 124;
