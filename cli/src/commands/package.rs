//! `enarx package`: applications at rest, encrypted.

mod build;
mod inspect;
mod verify;

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use enarx_wire_package::{PackageError, PackageReader};
use indicatif::ProgressBarIter;

use crate::{
    arguments::read_key,
    console::{Console, counted},
    exit::Status,
    failure::WithAdvice as _,
    progress,
};

/// Build, inspect and verify encrypted packages
///
/// A package holds an application with its data, encrypted under a key of its own. It
/// can be stored anywhere; `run` and `deploy` take it wherever they take an application.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Arguments),
    Inspect(inspect::Arguments),
    Verify(verify::Arguments),
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Build(arguments) => arguments.run(console),
            Command::Inspect(arguments) => arguments.run(console),
            Command::Verify(arguments) => arguments.run(console),
        }
    }
}

/// A package and its key.
#[derive(Debug, Args)]
struct PackageArguments {
    /// The package
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,

    /// The package's key file
    #[arg(short, long, value_name = "FILE")]
    key: PathBuf,
}

/// What a package is read through.
type Source = BufReader<ProgressBarIter<File>>;

impl PackageArguments {
    /// Opens the package and reads its manifest.
    fn open(&self, console: &Console) -> anyhow::Result<PackageReader<Source>> {
        let key = read_key(&self.key)?;
        let (file, size) = open_file(&self.package)?;
        let bar = progress::bytes(console, "Reading", size);
        PackageReader::open(BufReader::new(bar.wrap_read(file)), &key)
            .map_err(|error| explain(error, &self.package))
    }
}

fn open_file(path: &Path) -> anyhow::Result<(File, u64)> {
    let opened = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        Ok((file, size))
    });
    opened.with_advice(|| {
        (
            format!("cannot open the package {}", path.display()),
            "name a package that `enarx package build` wrote",
        )
    })
}

/// Adds which package it was.
fn explain(error: PackageError, path: &Path) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("the package {} cannot be read", path.display()))
}

/// `count` of the package's entries, for people.
fn entries(count: usize) -> String {
    counted(count, "entry", "entries")
}
