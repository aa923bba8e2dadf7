//! `enarx completions`: completions for a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{cli::Cli, console::Console, exit::Status};

/// Write completions for a shell to standard output
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx completions bash > ~/.local/share/bash-completion/completions/enarx
  enarx completions zsh > ~/.zfunc/_enarx
  enarx completions fish > ~/.config/fish/completions/enarx.fish")]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Arguments {
    pub fn run(self, _: &Console) -> anyhow::Result<Status> {
        // Generated in memory: the generator would panic when nobody reads.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "enarx", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
        Ok(Status::SUCCESS)
    }
}
