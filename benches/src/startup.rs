//! Start-up: from before the command's start to after its end.

use std::path::Path;

use anyhow::ensure;

use crate::{
    child,
    environment::Environment,
    modules,
    options::Benchmark,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    rival,
    sample::{Contender, Sample, interleaved},
};

/// Measures a tiny and a large module, both compiled before.
///
/// # Errors
///
/// When one of the programs fails or prints something else than it should.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Startup.title());
    let rounds = environment.rounds(60);
    let promise = Some(Promise::RatioAtLeast(environment.backend.startup_promise()));
    measure(
        environment,
        &mut section,
        "tiny",
        &modules::tiny(),
        rounds,
        promise,
    )?;
    let large = modules::large(LARGE);
    let name = format!("{:.1} MB", large.len() as f64 / 1e6);
    measure(
        environment,
        &mut section,
        &name,
        &large,
        rounds.div_ceil(2),
        None,
    )?;
    section.notes.push(
        "each command runs `MODULE.wasm` with its own cache warm; wall time of the process from start to end"
            .into(),
    );
    section.notes.push(
        "\"library\" is wasmtime's, configured as its command, loading a file that it compiled before: what remains is engine, load, link, run"
            .into(),
    );
    if environment.wasmtime.is_none() {
        section.notes.push(
            "no wasmtime command was found: put one on the PATH or into $WASMTIME to measure the promise"
                .into(),
        );
    }
    Ok(section)
}

const LARGE: usize = 5_500_000;

fn measure(
    environment: &Environment,
    section: &mut Section,
    name: &str,
    wasm: &[u8],
    rounds: usize,
    promise: Option<Promise>,
) -> anyhow::Result<()> {
    let module = &environment.write("startup.wasm", wasm)?;
    let compiled = &environment.write("startup.cwasm", &rival::compile(wasm)?)?;
    let mut contenders: Vec<Contender<'_>> = vec![
        Box::new(|| command(&mut environment.enarx_run(module))),
        Box::new(|| in_this_process(compiled)),
        Box::new(|| command(environment.own_part("run")?.arg(compiled))),
    ];
    if let Some(wasmtime) = environment.wasmtime.as_deref() {
        contenders.push(Box::new(move || {
            command(environment.command(wasmtime).arg("run").arg(module))
        }));
        // Its command's features differ from this program's, and so does its format.
        let compiled = environment.path("startup-command.cwasm");
        let mut compile = environment.command(wasmtime);
        child::run(compile.arg("compile").arg(module).arg("-o").arg(&compiled))?;
        contenders.push(Box::new(move || {
            let mut wasmtime = environment.command(wasmtime);
            command(wasmtime.args(["run", "--allow-precompiled"]).arg(&compiled))
        }));
    }
    let samples: Vec<Sample> = interleaved(rounds, contenders)?
        .into_iter()
        .map(Sample::new)
        .collect();

    let ours = &samples[0];
    let against = |rival: &str, theirs: Option<&Sample>| {
        let what = format!("enarx run, {name} module");
        Figure::of_samples(what, Quantity::Seconds, ours, rival, theirs)
    };
    let figure = against("wasmtime run", samples.get(3));
    section.figures.push(match promise {
        Some(promise) => figure.promised(promise),
        None => figure,
    });
    if let Some(theirs) = samples.get(4) {
        let figure = against("wasmtime run --allow-precompiled", Some(theirs));
        section.figures.push(figure);
    }
    let figure = against("library, process of its own", Some(&samples[2]));
    section.figures.push(figure);
    let figure = against("library, in a running process", Some(&samples[1]));
    section.figures.push(figure);
    Ok(())
}

fn command(command: &mut std::process::Command) -> anyhow::Result<f64> {
    let ended = child::run(command)?;
    check(&ended.output)?;
    Ok(ended.seconds)
}

fn in_this_process(compiled: &Path) -> anyhow::Result<f64> {
    let start = std::time::Instant::now();
    let output = rival::run_captured(compiled)?;
    let seconds = start.elapsed().as_secs_f64();
    check(&output)?;
    Ok(seconds)
}

fn check(output: &str) -> anyhow::Result<()> {
    ensure!(
        output == modules::OUTPUT,
        "the module printed {output:?} instead of {:?}",
        modules::OUTPUT
    );
    Ok(())
}
