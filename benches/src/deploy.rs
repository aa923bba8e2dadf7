//! Deploying end to end, stage by stage.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::{
    environment::Environment,
    modules,
    options::Benchmark,
    quantity::Quantity,
    report::{Figure, Section},
    sample::{Contender, Sample, interleaved},
};

/// Measures `enarx deploy --to local` by the events that it reports.
///
/// # Errors
///
/// When a deployment fails or leaves an event out.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Deploy.title());
    let large = modules::large(LARGE);
    let name = format!("{:.1} MB module", large.len() as f64 / 1e6);
    let tiny = environment.write("deploy-tiny.wasm", &modules::tiny())?;
    let large = environment.write("deploy-large.wasm", &large)?;

    // The very first deployment also makes the simulator's keys, once for all.
    stages(environment, &tiny, Cache::Used)?;
    let compiling = stages(environment, &large, Cache::Unused)?;
    let contenders: Vec<Contender<'_, [f64; STAGES.len()]>> = vec![
        Box::new(|| stages(environment, &tiny, Cache::Used)),
        Box::new(|| stages(environment, &large, Cache::Used)),
    ];
    let values = interleaved(environment.rounds(21), contenders)?;
    for (name, values) in ["tiny module", &name].iter().zip(&values) {
        let median = |part: &dyn Fn(&[f64; STAGES.len()]) -> f64| {
            Sample::new(values.iter().map(part)).median(Quantity::Seconds)
        };
        for (index, stage) in STAGES.iter().enumerate() {
            let figure = median(&|stages| stages[index]);
            let what = format!("{name}: {}", stage.name);
            section.figures.push(Figure::alone(what, figure));
        }
        let total = median(&|stages| stages.iter().sum());
        let what = format!("{name}: all of it");
        section.figures.push(Figure::alone(what, total));
    }
    section.figures.push(Figure::alone(
        format!("{name}: packaging without the cache (compiling)"),
        Quantity::Seconds(compiling[PACKAGE]),
    ));
    section.notes.push(
        "`enarx deploy --to local --backend process --json`; each stage ends when its event is read"
            .into(),
    );
    section.notes.push(
        "a host in the same process; a host elsewhere adds the network's time to all stages but packaging"
            .into(),
    );
    Ok(section)
}

const LARGE: usize = 5_500_000;

/// A stage of a deployment and the event that ends it.
struct Stage {
    name: &'static str,
    ends_with: &'static str,
}

const STAGES: [Stage; 7] = [
    stage("start the command and the Keep", "started"),
    stage("attest: evidence, appraisal", "appraised"),
    stage("package: machine code from the cache", "compiled"),
    stage("provision: seal, encrypt, upload, open", "provisioned"),
    stage("first output", "stdout"),
    stage("the program's end, authenticated", "ended"),
    stage("the command's end", ""),
];

/// Where in [`STAGES`] packaging is.
const PACKAGE: usize = 2;

const fn stage(name: &'static str, ends_with: &'static str) -> Stage {
    Stage { name, ends_with }
}

/// A line of `--json`; the rest of it does not matter here.
#[derive(Deserialize)]
struct Event {
    event: String,
}

/// Whether compiled programs are taken from the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    Used,
    Unused,
}

/// Deploys once; gives the seconds of each stage.
fn stages(
    environment: &Environment,
    module: &Path,
    cache: Cache,
) -> anyhow::Result<[f64; STAGES.len()]> {
    let mut command = environment.enarx();
    command
        .args(["deploy", "--to", "local", "--backend", "process", "--json"])
        .args((cache == Cache::Unused).then_some("--no-cache"))
        .arg(module)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut before = Instant::now();
    let mut child = command.spawn().context("cannot start enarx")?;
    let output = child.stdout.take().context("the output was not a pipe")?;
    let mut seconds = [0.0; STAGES.len()];
    let mut next = 0;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let event: Event = serde_json::from_str(&line).with_context(|| line.clone())?;
        if event.event == STAGES[next].ends_with {
            let now = Instant::now();
            seconds[next] = (now - before).as_secs_f64();
            (before, next) = (now, next + 1);
        }
    }
    let ended = child.wait_with_output()?;
    seconds[STAGES.len() - 1] = before.elapsed().as_secs_f64();
    ensure!(
        ended.status.success(),
        "enarx deploy: {}: {}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr).trim()
    );
    ensure!(
        next == STAGES.len() - 1,
        "enarx deploy did not report {:?}",
        STAGES[next].ends_with
    );
    Ok(seconds)
}
