//! Memory of a program that waits for input.

use std::{process::Command, thread, time::Duration};

use crate::{
    environment::Environment,
    modules,
    options::Benchmark,
    process_memory::ProcessMemory,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    rival,
    sample::{Contender, Sample, interleaved},
    waiting::Waiting,
};

/// Measures the Keep, the command beside it, and wasmtime, all with the same module.
///
/// # Errors
///
/// When a program fails or does not wait.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Idle.title());
    let wasm = modules::waiting();
    let module = &environment.write("waiting.wasm", &wasm)?;
    let compiled = &environment.write("waiting.cwasm", &rival::compile(&wasm)?)?;

    let keep = |process| ProcessMemory::below(process);
    let itself = |process| ProcessMemory::of(process);
    let mut contenders: Vec<Contender<'_, ProcessMemory>> = vec![
        Box::new(|| waiting(&mut environment.enarx_run(module), keep)),
        Box::new(|| waiting(&mut environment.enarx_run(module), itself)),
        Box::new(|| waiting(environment.own_part("run")?.arg(compiled), itself)),
    ];
    if let Some(wasmtime) = environment.wasmtime.as_deref() {
        contenders.push(Box::new(move || {
            let mut wasmtime = environment.command(wasmtime);
            waiting(wasmtime.arg("run").arg(module), itself)
        }));
    }
    let values = interleaved(environment.rounds(5), contenders)?;
    let median = |contender: usize, part: Part| {
        let values: Option<Vec<f64>> = values.get(contender)?.iter().map(part).collect();
        Some(Sample::new(values?).median(Quantity::Bytes))
    };
    let parts: [(&str, Part); 2] = [
        ("resident", |memory| Some(memory.resident)),
        ("proportional", |memory| memory.proportional),
    ];
    for (name, part) in parts {
        let Some(ours) = median(KEEP, part) else {
            section
                .notes
                .push("the kernel says a Keep's proportional set size only to root".into());
            continue;
        };
        let what = format!("the Keep, {name} set size");
        let figure = match median(WASMTIME, part) {
            Some(theirs) => Figure::against(&what, ours, "wasmtime run", theirs),
            None => Figure::without_rival(&what, ours, "wasmtime run"),
        };
        section
            .figures
            .push(figure.promised(Promise::RatioAtLeast(1.0)));
        if let Some(theirs) = median(LIBRARY, part) {
            let rival = "library, process of its own";
            section
                .figures
                .push(Figure::against(&what, ours, rival, theirs));
        }
        if let Some(command) = median(COMMAND, part) {
            let what = format!("the enarx command beside it, {name} set size");
            section.figures.push(Figure::alone(what, command));
        }
    }
    section.notes.push(
        "one module with one page of memory, waiting for its standard input; the Keep is every process below the enarx command"
            .into(),
    );
    Ok(section)
}

/// One of the numbers about a process.
type Part = fn(&ProcessMemory) -> Option<f64>;

/// Places of the contenders.
const KEEP: usize = 0;
const COMMAND: usize = 1;
const LIBRARY: usize = 2;
const WASMTIME: usize = 3;

/// Starts a command, waits until its module waits, measures, and lets it end.
fn waiting(
    command: &mut Command,
    measure: impl Fn(u32) -> anyhow::Result<ProcessMemory>,
) -> anyhow::Result<ProcessMemory> {
    let waiting = Waiting::start(command)?;
    // It prints before it waits; whatever it still does then is over soon.
    thread::sleep(Duration::from_millis(200));
    let memory = measure(waiting.id())?;
    waiting.end()?;
    Ok(memory)
}
