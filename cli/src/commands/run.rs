//! `enarx run`: an application in a Keep on this machine.

use std::sync::Arc;

use clap::Args;

use crate::{
    arguments::ApplicationArguments,
    commands::foreground,
    console::{Console, Level, LogFormat},
    deployment::{KeepArguments, Needs, Stages, StagesFormat},
    exit::Status,
    names,
    relay::{SinkArguments, SinkFormat},
};

/// Run an application in a Keep on this machine
///
/// Attests, packages and provisions like `deploy`, with a host inside this command.
/// Standard input, output and error are the program's, and so is the exit status.
/// Ctrl-C stops the program.
///
/// Without a TEE on this machine it fails, unless --simulate or --backend process
/// permits to run without protection.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx run --backend process app.wasm -- --help    without protection
  enarx run app.wasm                                in this machine's TEE, if it has one
  enarx run --simulate -e LANG -m data:/data app    a folder with Enarx.toml
  enarx run --key app.key app.enarx                 a package
  echo hello | enarx run --simulate app.wat")]
pub struct Arguments {
    #[command(flatten)]
    application: ApplicationArguments,

    #[command(flatten)]
    keep: KeepArguments,

    #[command(flatten)]
    sink: SinkArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let application = Arc::new(self.application.load()?);
        let host = self.keep.local_host(console, &Needs::from(&*application))?;
        if application.uses_network() {
            names::use_hosts_file_and_dns();
        }
        let stages = Arc::new(Stages::new(*console, StagesFormat::Brief));
        super::block_on(async {
            let job = foreground::Job {
                console,
                host: &*host,
                keep: &self.keep,
                application,
                stages,
                sink: self.sink.sink(SinkFormat::Raw),
                store: None,
            };
            job.run().await
        })
    }
}
