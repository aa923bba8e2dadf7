//! `enarx host`: the untrusted host's side.

mod serve;

use clap::{Args, Subcommand};

use crate::{console::Console, exit::Status};

/// Offer this machine to owners of applications
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Serve(arguments) => arguments.run(console),
        }
    }
}
