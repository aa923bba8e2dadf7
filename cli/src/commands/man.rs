//! `enarx man`: the manual pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::{cli::Cli, console::Console, exit::Status};

/// Write the manual pages into a directory
///
/// One page for each command, made from the same definitions as the help.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx man ~/.local/share/man/man1 && man enarx-deploy")]
pub struct Arguments {
    /// The directory; it is created if it does not exist
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let directory = self.directory;
        std::fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &directory))
            .with_context(|| format!("cannot write manual pages into {}", directory.display()))?;
        console.note(format_args!(
            "manual pages written to {}",
            directory.display()
        ));
        Ok(Status::SUCCESS)
    }
}
