//! `enarx attach`: this terminal becomes a deployed program's.

use clap::Args;
use enarx_owner_deployer::HostConnection as _;
use enarx_wire_host_api::KeepState;

use super::{runtime, sessions::SessionArguments};
use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
    relay::{Relay, Sink, SinkFormat},
};

/// Connect this terminal to a deployed program
///
/// Standard input, output and error become the program's, and so does the exit status.
/// Ctrl-C stops the program. Whoever was attached before no longer reaches the program's
/// standard input.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx attach 3f2a
  enarx attach --no-input --from-start 3f2a")]
pub struct Arguments {
    #[command(flatten)]
    session: SessionArguments,

    /// Show first what the program has written before
    #[arg(long)]
    from_start: bool,

    /// Do not forward standard input
    #[arg(long)]
    no_input: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let (store, record, host) = self.session.find()?;
        runtime()?.block_on(async {
            let from = if self.from_start {
                0
            } else {
                let info = host.inspect(record.keep).await?;
                match info.state {
                    // The last frame is the end, and without it there is no status.
                    KeepState::Ended => info.output_frames.saturating_sub(1),
                    _ => info.output_frames,
                }
            };
            let relay = Relay {
                console,
                host: &host,
                session: &record.session(),
                epoch: store.next_epoch(record.keep)?,
                from,
                stdin: !self.no_input,
                sink: Sink(SinkFormat::Raw),
            };
            let ending = relay.run().await?;
            Ok(Status(ending.status))
        })
    }
}
