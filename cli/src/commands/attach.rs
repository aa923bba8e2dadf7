//! `enarx attach`: this terminal becomes a deployed program's.

use clap::Args;
use enarx_owner_deployer::HostConnection as _;
use enarx_wire_host_api::KeepState;

use super::{block_on, sessions::SessionArguments};
use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
    relay::{Relay, SinkArguments, SinkFormat},
};

/// Connect this terminal to a deployed program
///
/// Standard input, output and error become the program's, and so does the exit status.
/// Ctrl-C stops the program. Whoever was attached before no longer reaches the program's
/// standard input. Of a program that has ended it says how; `enarx logs` shows its output.
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

    #[command(flatten)]
    sink: SinkArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let (store, record, host) = self.session.find(console)?;
        block_on(async {
            let info = host.inspect(record.keep).await?;
            let over = info.state == KeepState::Ended;
            let from = match (self.from_start, over) {
                (true, _) => 0,
                // The last frame is the end, and without it there is no status.
                (false, true) => info.output_frames.saturating_sub(1),
                (false, false) => info.output_frames,
            };
            let relay = Relay {
                console,
                host: &host,
                session: &record.session(),
                epoch: store.next_epoch(record.keep)?,
                from,
                stdin: !self.no_input,
                sink: self.sink.sink(SinkFormat::Raw),
            };
            let ending = relay.run().await?;
            if over {
                console.note(format_args!(
                    "the program had ended before, with status {}; `enarx logs {}` shows what it \
                     wrote",
                    ending.status, record.keep
                ));
            }
            Ok(Status(ending.status))
        })
    }
}
