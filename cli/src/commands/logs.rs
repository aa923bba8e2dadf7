//! `enarx logs`: what a program has written.

use clap::Args;
use enarx_owner_deployer::SessionEvent;
use futures_util::StreamExt as _;

use super::{block_on, sessions::SessionArguments};
use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
    relay::{SinkArguments, SinkFormat},
};

/// Show what a deployed program has written
///
/// The output is encrypted end to end; the host only stores it, as much as it is allowed
/// to. What it dropped or altered is noticed, and with --follow what it held back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx logs 3f2a
  enarx logs --follow 3f2a")]
pub struct Arguments {
    #[command(flatten)]
    session: SessionArguments,

    /// Go on until the program has ended
    #[arg(short, long)]
    follow: bool,

    /// Write lines of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sink: SinkArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let (_, record, host) = self.session.find(console)?;
        let mut sink = self.sink.sink(if self.json {
            SinkFormat::Json
        } else {
            SinkFormat::Raw
        });
        block_on(async {
            let mut status = Status::SUCCESS;
            let mut events = record.session().events(&host, 0, self.follow).await?;
            while let Some(event) = events.next().await {
                match event? {
                    SessionEvent::Output(output) => {
                        if sink.output(console, output)?.is_some() {
                            return Ok(status);
                        }
                    }
                    lost @ SessionEvent::Lost { .. } => {
                        sink.lost(console, &lost)?;
                        status = Status::FAILED;
                    }
                }
            }
            // Without --follow nothing tells "not yet" from "held back".
            console.note("the host has no more output; the program's end is not among it");
            Ok(status)
        })
    }
}
