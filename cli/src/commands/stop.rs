//! `enarx stop`: end a deployed program.

use std::time::Duration;

use clap::Args;
use enarx_owner_deployer::{
    HostConnection, HostError, HttpHost, SessionRecord, SessionStore, application::parse_duration,
};
use enarx_wire_host_api::{ErrorCode, KeepState};
use enarx_wire_provision::Input;
use tokio::time::{Instant, sleep, timeout_at};

use super::{block_on, sessions::SessionArguments};
use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
};

/// Stop a deployed program and end its Keep
///
/// The Keep is told, authenticated end to end, to stop its program; its output stays
/// readable for a while. If that does not help in time, the host is asked to kill it.
///
/// With --forget the session is forgotten whether or not its host can be reached, unless
/// the host refuses. If it could not be reached, the exit status says that the Keep may
/// still run.
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
        let (store, record, host) = self.session.find(console)?;
        block_on(async {
            let keep = record.keep;
            let status = match self.end(&store, &record, &host).await {
                Ok(()) => {
                    console.note(format_args!("the Keep {keep} has ended"));
                    Status::SUCCESS
                }
                Err(error) if self.forget && is_gone(&error) => {
                    console.note(format_args!("the host has no Keep {keep} any more"));
                    Status::SUCCESS
                }
                Err(error) if self.forget && !is_refusal(&error) => {
                    console.warn(format_args!(
                        "the Keep {keep} was not stopped and may still run: {error:#}"
                    ));
                    Status::FAILED
                }
                Err(error) => return Err(error),
            };
            if self.forget {
                store.remove(keep)?;
                console.note(format_args!("forgotten: {keep} {}", record.name));
            }
            Ok(status)
        })
    }

    /// Has the program stop, or else its Keep be killed.
    async fn end(
        &self,
        store: &SessionStore,
        record: &SessionRecord,
        host: &HttpHost,
    ) -> anyhow::Result<()> {
        let stopped = !self.kill && self.stop(store, record, host).await?;
        if !stopped {
            host.stop(record.keep).await?;
        }
        Ok(())
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

/// Whether the host says that it has no such Keep.
fn is_gone(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(HostError::Refused(problem)) if problem.code == ErrorCode::UnknownKeep
    )
}

/// Whether a host answered and refused, or this side failed: then the session can still
/// be of use, with a token or after a repair.
fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), None | Some(HostError::Refused(_)))
}

const POLL_INTERVAL: Duration = Duration::from_millis(50);
