//! Between the terminal and a Keep: standard input goes in, output comes out, and
//! Ctrl-C stops the program.

mod sink;
mod source;

use std::{pin::pin, time::Duration};

use enarx_owner_deployer::{Attachment, HostConnection, Session, SessionEvent};
use enarx_wire_provision::{Cause, Ending, Input};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::{sync::mpsc, time::Instant};

use crate::{console::Console, failure::Advice};

pub use sink::{Sink, SinkArguments, SinkFormat};
pub use source::forward_stdin;

/// How long a program may take to stop before its host is asked to kill the Keep.
const STOP_TIME: Duration = Duration::from_secs(3);

/// A session between this terminal and a Keep.
pub struct Relay<'a> {
    /// What is said, and how.
    pub console: &'a Console,
    /// The Keep's host.
    pub host: &'a dyn HostConnection,
    /// The session with the Keep.
    pub session: &'a Session,
    /// The attachment's number, see [`Session::attach`].
    pub epoch: u64,
    /// The first frame of the output that is wanted.
    pub from: u64,
    /// Whether standard input is forwarded.
    pub stdin: bool,
    /// Where the output goes.
    pub sink: Sink,
}

impl Relay<'_> {
    /// Relays until the program has ended; gives its ending. Ctrl-C and SIGTERM stop
    /// the program; a second one, or a few seconds, have the Keep killed.
    ///
    /// # Errors
    ///
    /// When the output breaks off or was altered, or can no longer be written.
    pub async fn run(mut self) -> anyhow::Result<Ending> {
        let keep = self.session.keep();
        // A host that holds the output back must not keep input and Ctrl-C back too.
        let output = self.session.events(self.host, self.from, true);
        let mut events = pin!(stream::once(output).try_flatten());
        let (attachment, frames) = self.session.attach(self.epoch);
        let (orders, ordered) = mpsc::channel(INPUTS_AHEAD);
        if self.stdin {
            forward_stdin(orders.clone());
        }
        let mut input = pin!(self.host.input(keep, frames).fuse());
        let mut pump = pin!(pump(attachment, ordered).fuse());
        let mut interrupts = Interrupts::new()?;
        let mut killed_at: Option<Instant> = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(SessionEvent::Output(output))) => {
                        let ending = match self.sink.output(self.console, output) {
                            Ok(ending) => ending,
                            // Nobody reads what the program says any more.
                            Err(error) => return Err(error.into()),
                        };
                        if let Some(ending) = ending {
                            return Ok(ending);
                        }
                    }
                    // A host that says so may as well have dropped them on purpose.
                    Some(Ok(lost @ SessionEvent::Lost { .. })) => {
                        return Err(broken(anyhow::anyhow!("{lost}")));
                    }
                    // The end was asked for, and nobody says that it has come.
                    Some(Err(_)) | None if killed_at.is_some() => return Ok(self.kill().await),
                    Some(Err(error)) => return Err(broken(error.into())),
                    None => return Err(broken(anyhow::anyhow!("the output ended without its authenticated end"))),
                },
                result = &mut input => if let Err(error) = result {
                    tracing::debug!(%error, "input ended");
                },
                () = &mut pump => {}
                () = interrupts.next() => match killed_at {
                    None => {
                        self.console.note("stopping the program; Ctrl-C again kills the Keep");
                        killed_at = Some(Instant::now() + STOP_TIME);
                        // A full queue means that the Keep takes no input: it will be killed.
                        let _ = orders.try_send(Input::Stop);
                    }
                    Some(_) => return Ok(self.kill().await),
                },
                () = until(killed_at) => return Ok(self.kill().await),
            }
        }
    }

    /// Has the host end the Keep; gives the ending of a program that was stopped from here. The
    /// Keep itself never confirmed it.
    async fn kill(&self) -> Ending {
        let message = match self.host.stop(self.session.keep()).await {
            Ok(_) => "the host says that the Keep has ended",
            Err(error) => {
                self.console.warn(format_args!(
                    "the host did not end the Keep, which may still run: {error}"
                ));
                "nothing confirms that the Keep has ended"
            }
        };
        Ending {
            cause: Cause::Stopped,
            status: Cause::Stopped.default_status(),
            message: message.to_owned(),
        }
    }
}

/// Inputs that may wait for the attachment.
const INPUTS_AHEAD: usize = 4;

/// Hands inputs to the Keep in their order.
async fn pump(mut attachment: Attachment, mut ordered: mpsc::Receiver<Input>) {
    while let Some(input) = ordered.recv().await {
        if let Err(error) = attachment.send(&input).await {
            // The output tells how the Keep ended.
            tracing::debug!(%error, "input is no longer taken");
            return;
        }
    }
}

fn broken(error: anyhow::Error) -> anyhow::Error {
    error.context(Advice::new(
        "the Keep's output broke off, and how the program ended is not known",
        "the host cut or altered the output, or the connection or the Keep failed; `enarx ps` \
         shows whether the Keep still runs, and the host's log may say more",
    ))
}

/// Resolves at the given time, if there is one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The user's wish to stop: SIGINT or SIGTERM.
pub struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    /// Begins to listen; the signals no longer end this process by themselves.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
