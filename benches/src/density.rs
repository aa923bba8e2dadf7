//! Memory of many Keeps at once whose programs wait for input.

use std::{thread, time::Duration};

use crate::{
    environment::Environment,
    modules,
    options::Benchmark,
    process_memory::ProcessMemory,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    waiting::Waiting,
};

/// Starts a hundred Keeps, measures them, and lets them end.
///
/// # Errors
///
/// When a program fails or does not wait.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Density.title());
    let module = environment.write("waiting.wasm", &modules::waiting())?;
    let count = if environment.quick { 20 } else { 100 };
    let keeps = (0..count)
        .map(|_| Waiting::start(&mut environment.enarx_run(&module)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // A module prints before it waits; whatever its Keep still does then is over soon.
    thread::sleep(Duration::from_millis(500));
    let memory = keeps
        .iter()
        .map(|keep| ProcessMemory::below(keep.id()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for keep in keeps {
        keep.end()?;
    }
    let proportional: Option<f64> = memory.iter().map(|memory| memory.proportional).sum();
    let Some(sum) = proportional else {
        section
            .notes
            .push("the kernel says a Keep's proportional set size only to root".into());
        return Ok(section);
    };
    let each = Quantity::Bytes(sum / f64::from(count));
    let figure = Figure::alone(format!("one of {count} Keeps, proportional set size"), each);
    section
        .figures
        .push(figure.promised(Promise::AtMost(Quantity::Bytes(24.0 * 1024.0 * 1024.0))));
    section.notes.push(
        "every process below the enarx commands; what Keeps share is divided among them".into(),
    );
    Ok(section)
}
