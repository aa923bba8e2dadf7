//! Prints what Enarx costs: ratios against the tool that one would use instead,
//! each measured in this one run, with the promised figure and whether it is kept.
//!
//! `benches/README.md` says what each figure means and how it is measured.

mod bulk;
mod calls;
mod child;
mod compute;
mod density;
mod deploy;
mod environment;
mod family;
mod http;
mod idle;
mod interpreter;
mod machine;
mod modules;
mod options;
mod peers;
mod process_memory;
mod programs;
mod quantity;
mod report;
mod rival;
mod sample;
mod sealing;
mod server;
mod startup;
mod tls;
mod waiting;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    environment::Environment,
    machine::Machine,
    options::{Benchmark, Options, Part},
    report::Report,
};

fn main() -> anyhow::Result<ExitCode> {
    calls::become_keep();
    let options = Options::parse();
    if let Some(part) = options.part {
        return part_of_a_benchmark(part);
    }
    let environment = Environment::prepare(&options)?;
    let mut report = Report::new(Machine::describe(&environment));
    if !options.json {
        print!("{}", report.machine);
    }
    for benchmark in options.benchmarks() {
        let section = match benchmark {
            Benchmark::Startup => startup::run(&environment),
            Benchmark::Compute => compute::run(&environment),
            Benchmark::Sealing => sealing::run(&environment),
            Benchmark::Idle => idle::run(&environment),
            Benchmark::Density => density::run(&environment),
            Benchmark::Deploy => deploy::run(&environment),
            Benchmark::Calls => calls::run(&environment),
            Benchmark::Http => http::run(&environment),
            Benchmark::Bulk => bulk::run(&environment),
            Benchmark::Interpreter => interpreter::run(&environment),
        }
        .unwrap_or_else(|error| report::Section::failed(benchmark.title(), &error));
        if !options.json {
            print!("{section}");
        }
        report.sections.push(section);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{}", report.summary());
    }
    let kept = report.all_kept() || !options.strict;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What this program does when it is its own child process.
fn part_of_a_benchmark(part: Part) -> anyhow::Result<ExitCode> {
    match part {
        Part::Seal { bytes, digests } => sealing::seal_to_output(bytes, digests)?,
        Part::Open => sealing::open_from_input()?,
        Part::Run { module } => rival::run_from_file(&module)?,
        Part::Proxy { to } => peers::proxy(to)?,
        Part::Echo => peers::echo()?,
    }
    Ok(ExitCode::SUCCESS)
}
