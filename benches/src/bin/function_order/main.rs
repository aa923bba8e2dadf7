//! Prints the functions that run while a Keep starts, in the order in which they begin.
//!
//! Linked in this order they lie side by side, so that a start touches few pages of a large
//! program. `benches/README.md` says how the files with these orders are made.

mod map;
mod trace;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

/// Print the functions of a program in the order in which they begin
///
/// Runs COMMAND instruction by instruction, which takes a minute.
#[derive(Parser)]
#[command(after_help = "\
Example:
  function_order --of runtime --map functions.map -- enarx run --backend process app.wasm")]
struct Options {
    /// Whose functions
    #[arg(long)]
    of: Traced,
    /// What the linker wrote when it made the program (`-Wl,-Map=FILE`)
    #[arg(long)]
    map: PathBuf,
    /// The command, whose processes are traced
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// A program whose functions are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Traced {
    /// The command itself
    Command,
    /// The runtime in the Keep that it starts
    Runtime,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let map = fs::read_to_string(&options.map)
        .with_context(|| format!("cannot read {}", options.map.display()))?;
    let sections = map::sections(&map);
    anyhow::ensure!(!sections.is_empty(), "the map lists no functions");
    let mut known = HashSet::new();
    for offset in trace::first_executions(options.of, &options.command)? {
        if let Some(section) = map::containing(&sections, offset)
            && known.insert(section.start)
        {
            println!("{}", section.symbol);
        }
    }
    Ok(())
}
