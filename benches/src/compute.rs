//! Programs that only compute: in the Keep, in wasmtime, and natively.

use anyhow::ensure;

use crate::{
    child,
    environment::Environment,
    options::Benchmark,
    programs::{Outcome, Program},
    quantity::Quantity,
    report::{Figure, Promise, Section},
    rival,
    sample::{Contender, Sample, interleaved},
};

/// Measures every program of `benches/programs`.
///
/// # Errors
///
/// When the programs cannot be built or run, or when their checksums differ.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Compute.title());
    let mut means = [0.0; 2];
    let programs = Program::build_all(environment)?;
    for program in &programs {
        let ratios = measure(environment, &mut section, program)?;
        for (mean, ratio) in means.iter_mut().zip(ratios) {
            *mean += ratio.ln() / programs.len() as f64;
        }
    }
    section.notes.push(format!(
        "geometric means: {:.2} of wasmtime's default configuration, {:.2} of native code (clang -O2)",
        means[0].exp(),
        means[1].exp()
    ));
    section.notes.push(
        "the programs time themselves with the monotonic clock; all checksums agree in all rounds"
            .into(),
    );
    Ok(section)
}

/// Adds the program's figures; gives the ratios against wasmtime and native code.
fn measure(
    environment: &Environment,
    section: &mut Section,
    program: &Program,
) -> anyhow::Result<[f64; 2]> {
    let wasm = std::fs::read(&program.wasm)?;
    let compiled = environment.write("compute.cwasm", &rival::compile(&wasm)?)?;
    let contenders: Vec<Contender<'_, Outcome>> = vec![
        Box::new(|| Outcome::parse(&child::run(&mut environment.enarx_run(&program.wasm))?.output)),
        Box::new(|| Outcome::parse(&rival::run_captured(&compiled)?)),
        Box::new(|| {
            let mut native = environment.command(&program.native);
            Outcome::parse(&child::run(&mut native)?.output)
        }),
    ];
    let outcomes = interleaved(environment.rounds(15), contenders)?;
    let checksum = outcomes[0][0].checksum;
    ensure!(
        outcomes
            .iter()
            .flatten()
            .all(|outcome| outcome.checksum == checksum),
        "{}: the checksums differ: {outcomes:?}",
        program.name
    );
    let [keep, wasmtime, native] = [0, 1, 2]
        .map(|contender| Sample::new(outcomes[contender].iter().map(|outcome| outcome.seconds)));
    let against = |rival, theirs: &Sample| {
        Figure::against(
            program.name,
            keep.median(Quantity::Seconds),
            rival,
            theirs.median(Quantity::Seconds),
        )
        .best(
            keep.minimum(Quantity::Seconds),
            theirs.minimum(Quantity::Seconds),
        )
    };
    let figures = [
        against("wasmtime, default configuration", &wasmtime)
            .promised(Promise::RatioAtLeast(environment.backend.compute_promise())),
        against("native", &native),
    ];
    let ratios = figures
        .each_ref()
        .map(|figure| figure.ratio().expect("both sides were measured"));
    section.figures.extend(figures);
    Ok(ratios)
}
