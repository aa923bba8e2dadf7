//! `enarx collateral`: the vendors' certificates and documents that are kept here.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use enarx_owner_collateral::{Bundle, MAX_BUNDLE, Store};
use enarx_owner_evidence::UnixTime;
use serde::Serialize;

use super::read_at_most;
use crate::{
    console::{Console, Table, counted},
    deployment, directories,
    exit::Status,
    failure::WithAdvice as _,
};

/// Manage what the vendors publish, as `enarx verify --fetch` keeps it
///
/// None of it is trusted: it is verified whenever it is used. On a machine without a network,
/// import what `enarx collateral export` wrote on one that has it, or name that file with
/// `enarx verify --collateral`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Export(Export),
    Import(Import),
    /// Remove all that is kept
    #[command(after_help = "\
Example:
  enarx collateral clear")]
    Clear,
}

/// List what is kept
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx collateral list
  enarx collateral list --json")]
struct List {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Write all that is kept into one file
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx verify quote.bin --fetch && enarx collateral export collateral.bundle")]
struct Export {
    /// The file; one that is there already is replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Keep what is in such a file, unless something fresher is kept already
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx collateral import collateral.bundle")]
struct Import {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// An entry, for JSON.
#[derive(Serialize)]
struct Line {
    name: String,
    bytes: usize,
    fetched_at: u64,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let store = store()?;
        match self.command {
            Command::List(List { json }) => list(&store, json, console)?,
            Command::Export(Export { file }) => {
                let bundle = Bundle::export(&store)?;
                std::fs::write(&file, bundle.to_vec()?).with_advice(|| {
                    (
                        format!("cannot write {}", file.display()),
                        "name a file in a folder that you may write to",
                    )
                })?;
                said(console, "exported", bundle.entries().len())?;
            }
            Command::Import(Import { file }) => {
                let taken = read_bundle(&file)?.import(&store, deployment::now())?;
                said(console, "imported", taken)?;
            }
            Command::Clear => said(console, "removed", store.clear()?)?,
        }
        Ok(Status::SUCCESS)
    }
}

/// Where it is kept.
///
/// # Errors
///
/// When there is no home directory, or the folder in it cannot be made.
pub fn store() -> anyhow::Result<Store> {
    Ok(Store::open(directories::cache()?.join("collateral"))?)
}

/// Reads a bundle.
///
/// # Errors
///
/// When the file cannot be read, or is no bundle.
pub fn read_bundle(file: &Path) -> anyhow::Result<Bundle> {
    Bundle::from_slice(&read_at_most(file, MAX_BUNDLE)?).with_advice(|| {
        (
            format!("{} cannot be used", file.display()),
            "name a file that `enarx collateral export` wrote",
        )
    })
}

fn list(store: &Store, json: bool, console: &Console) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for name in store.keys()? {
        if let Some(entry) = store.entry(&name)? {
            lines.push(Line {
                name,
                bytes: entry.body.len(),
                fetched_at: entry.fetched_at,
            });
        }
    }
    if json {
        return Ok(console.print_json(&lines)?);
    }
    let mut table = Table::new(["DOCUMENT", "BYTES", "FETCHED"]);
    for line in lines {
        let fetched = UnixTime(line.fetched_at).to_string();
        table.row([line.name, line.bytes.to_string(), fetched]);
    }
    Ok(console.print_table(&table)?)
}

fn said(console: &Console, what: &str, documents: usize) -> anyhow::Result<()> {
    let documents = counted(documents, "document", "documents");
    Ok(console.print(format_args!("{what} {documents}"))?)
}
