//! `enarx deploy`: an application in a Keep on another machine.

use std::sync::Arc;

use clap::Args;
use enarx_owner_deployer::HostConnection;
use serde_json::json;

use super::{block_on, foreground::Job, sessions};
use crate::{
    arguments::{ApplicationArguments, HostAccessArguments},
    console::{Console, Level, LogFormat},
    deployment::{KeepArguments, Needs, Stages, StagesFormat},
    exit::Status,
    failure::Advice,
    relay::{SinkArguments, SinkFormat},
};

/// Attest a Keep on a host, then send it an application
///
/// Attest: the host starts an empty Keep, which proves what it is. Your policy decides,
/// and nothing was sent yet.
///
/// Package: the application is compiled for this Keep, and encrypted with its data.
///
/// Provision: the key is sealed to this Keep alone, and the Keep runs the application.
///
/// Standard input, output and error are then the program's, encrypted end to end, and so
/// is the exit status. Ctrl-C stops the program. With --detach it goes on without you:
/// see `enarx ps`, `logs`, `attach` and `stop`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx deploy app.wat --to local --simulate
  enarx deploy app --to http://host:7363 --simulate --detach
  enarx deploy app.wasm --to https://host.example:7363 --policy policy.toml")]
pub struct Arguments {
    #[command(flatten)]
    application: ApplicationArguments,

    /// The host's address, or `local` for a host inside this command
    #[arg(short, long, value_name = "URL", help_heading = "Host")]
    to: String,

    #[command(flatten)]
    access: HostAccessArguments,

    #[command(flatten)]
    keep: KeepArguments,

    #[command(flatten)]
    sink: SinkArguments,

    /// Leave as soon as the application runs, and print the Keep's identifier
    #[arg(short, long)]
    detach: bool,

    /// Write what happens, and the program's output, as lines of JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(mut self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let local = self.to == LOCAL;
        self.keep.remote = !local;
        if local && self.detach {
            return Err(Advice::error(
                "a host inside this command ends with it, so there is nothing to detach from",
                "start `enarx host serve`, and deploy to its address",
            ));
        }
        let application = Arc::new(self.application.load()?);
        let (stages, format) = if self.json {
            (StagesFormat::Json, SinkFormat::Json)
        } else {
            (StagesFormat::Full, SinkFormat::Raw)
        };
        block_on(async {
            let (host, store): (Box<dyn HostConnection>, _) = if local {
                let needs = Needs::from(&*application);
                (self.keep.local_host(console, &needs)?, None)
            } else {
                let store = (sessions::store()?, self.to.clone());
                (
                    Box::new(self.access.connect(&self.to, console)?),
                    Some(store),
                )
            };
            let job = Job {
                console,
                host: &*host,
                keep: &self.keep,
                application,
                stages: Arc::new(Stages::new(*console, stages)),
                sink: self.sink.sink(format),
                store,
            };
            if !self.detach {
                return job.run().await;
            }
            let Some(deployed) = job.deploy().await? else {
                return Ok(Status::INTERRUPTED);
            };
            let keep = deployed.session.keep();
            if self.json {
                console.print_json_line(&json!({ "event": "detached", "keep": keep }))?;
            } else {
                console.print(keep)?;
            }
            Ok(Status::SUCCESS)
        })
    }
}

/// The address of a host inside this command.
const LOCAL: &str = "local";
