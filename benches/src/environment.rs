//! The programs that are measured and the place where they leave their files.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::options::{Backend, Benchmark, Options};

/// Where everything is, for the time of one run.
pub struct Environment {
    /// Fewer rounds and less data.
    pub quick: bool,
    /// The kind of Keep that is measured.
    pub backend: Backend,
    /// The wasmtime command, where there is one.
    pub wasmtime: Option<PathBuf>,
    /// The interpreter that the user named.
    pub python: Option<PathBuf>,
    enarx: Option<PathBuf>,
    directory: TempDir,
}

impl Environment {
    /// Builds or finds the programs that the chosen benchmarks need.
    ///
    /// # Errors
    ///
    /// When this program is not optimised, when `enarx` cannot be built, or when a
    /// file that the user named is not there.
    pub fn prepare(options: &Options) -> anyhow::Result<Self> {
        ensure!(
            !cfg!(debug_assertions),
            "figures of a program that is not optimised mean nothing: use `cargo run --release`"
        );
        let benchmarks = options.benchmarks();
        let enarx = if benchmarks == [Benchmark::Sealing] {
            None
        } else {
            Some(match &options.enarx {
                Some(path) => existing(path)?,
                None => build_enarx()?,
            })
        };
        let wasmtime = match &options.wasmtime {
            Some(path) => Some(existing(path)?),
            None => on_the_path("wasmtime"),
        };
        Ok(Self {
            quick: options.quick,
            backend: options.backend,
            wasmtime,
            python: options.python.as_deref().map(existing).transpose()?,
            enarx,
            directory: TempDir::with_prefix("enarx-benches-")?,
        })
    }

    /// How many rounds to measure: `rounds`, or a third of them if it must be quick.
    pub const fn rounds(&self, rounds: usize) -> usize {
        if self.quick {
            rounds.div_ceil(3)
        } else {
            rounds
        }
    }

    /// A path of this name that vanishes with the environment.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that vanishes with the environment; gives its path.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// A command whose caches and state are in a place of their own, so that what
    /// the user has there changes no figure and is not changed.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, directory) in [
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
        ] {
            command.env(name, self.path(directory));
        }
        for name in ["RUST_LOG", "RUST_BACKTRACE", "ENARX_LOG"] {
            command.env_remove(name);
        }
        command
    }

    /// The `enarx` command.
    pub fn enarx(&self) -> Command {
        let path = self.enarx.as_deref();
        self.command(path.expect("prepared for every benchmark that uses it"))
    }

    /// `enarx run` of a module, or of a folder, in the kind of Keep that is measured.
    pub fn enarx_run(&self, application: &Path) -> Command {
        let mut command = self.enarx();
        command.arg("run").args(self.backend.arguments());
        command.arg(application);
        command
    }

    /// This program's own [`crate::options::Part`].
    ///
    /// # Errors
    ///
    /// What the operating system says when asked for this program's path.
    pub fn own_part(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = self.command(std::env::current_exe()?);
        command.arg(name);
        Ok(command)
    }
}

/// Builds the `enarx` command as it is handed out, with the cargo that runs this.
fn build_enarx() -> anyhow::Result<PathBuf> {
    eprintln!("building enarx as it is handed out, which takes minutes the first time");
    let own = std::env::current_exe()?;
    let target = own
        .ancestors()
        .nth(2)
        .context("this program lies nowhere")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["dist", "--quiet"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot start cargo; name a built enarx with --enarx")?;
    ensure!(status.success(), "enarx could not be built");
    existing(&target.join("x86_64-unknown-linux-gnu/dist/enarx"))
}

fn existing(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_file() {
        bail!("there is no file {}", path.display());
    }
    Ok(path.canonicalize()?)
}

fn on_the_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
