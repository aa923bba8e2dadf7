//! `enarx stop`: end a deployed program.

use std::time::Duration;

use clap::Args;
use enarx_owner_deployer::{
    HostConnection, HttpHost, SessionRecord, SessionStore, application::parse_duration,
};
use enarx_wire_host_api::KeepState;
use enarx_wire_provision::Input;
use tokio::time::{Instant, sleep, timeout_at};

use super::{runtime, sessions::SessionArguments};
use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
};

/// Stop a deployed program and end its Keep
///
/// The Keep is told, authenticated end to end, to stop its program; its output stays
/// readable for a while. If that does not help in time, the host is asked to kill it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx stop 3f2a
  enarx stop --kill --forget 3f2a")]
pub struct Arguments {
    #[command(flatten)]
    session: SessionArguments,

    /// How long the program may take
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    time: Duration,

    /// Have the host kill the Keep at once
    #[arg(short, long)]
    kill: bool,

    /// Forget the session too; its output can then no longer be read by anybody
    #[arg(long)]
    forget: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let (store, record, host) = self.session.find()?;
        runtime()?.block_on(async {
            let stopped = !self.kill && self.stop(&store, &record, &host).await?;
            if !stopped {
                host.stop(record.keep).await?;
            }
            console.note(format_args!("the Keep {} has ended", record.keep));
            if self.forget {
                store.remove(record.keep)?;
            }
            Ok(Status::SUCCESS)
        })
    }

    /// Tells the Keep to stop; whether it did in time.
    async fn stop(
        &self,
        store: &SessionStore,
        record: &SessionRecord,
        host: &HttpHost,
    ) -> anyhow::Result<bool> {
        let keep = record.keep;
        let deadline = Instant::now() + self.time;
        if host.inspect(keep).await?.state != KeepState::Running {
            return Ok(false);
        }
        let (mut attachment, frames) = record.session().attach(store.next_epoch(keep)?);
        attachment.send(&Input::Stop).await?;
        // The stream of frames ends here.
        drop(attachment);
        // What the host answers does not matter: whether the Keep ends is seen below.
        let _ = timeout_at(deadline, host.input(keep, frames)).await;
        while Instant::now() < deadline {
            if host.inspect(keep).await?.state == KeepState::Ended {
                return Ok(true);
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(false)
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(50);
