//! The thread that listens to the owner, and watches the clock.
//!
//! It ends the process by itself where the program cannot be asked to end: a
//! program that computes in a loop never returns to the runtime.

use std::{sync::Arc, thread, time::Duration};

use enarx_wire_hostcall::{envelope::Kind, lookup::LookupError};
use enarx_wire_provision::{
    Cause, Ending, INPUT_OVERHEAD, Input, InputReader, MAX_FRAME_PAYLOAD, SessionError,
};

use crate::{
    channel::{Channel, ChannelError, Deadline},
    ending,
    network::Lookup,
    process::{ExitCode, exit},
    session::Session,
    stdin::StdinPipe,
    stop::Stop,
};

/// What the thread works with.
pub struct InputThread {
    /// Where frames come from.
    pub channel: Arc<Channel>,
    /// Where the ending goes.
    pub session: Arc<Session>,
    /// Opens frames.
    pub input: InputReader,
    /// Where standard input goes.
    pub stdin: StdinPipe,
    /// Where addresses of names go.
    pub lookup: Lookup,
    /// Who is told that the program shall stop.
    pub stop: Arc<Stop>,
    /// When the program's time is over.
    pub deadline: Deadline,
}

impl InputThread {
    /// Starts the thread. It lives as long as the process.
    pub fn start(mut self) {
        thread::spawn(move || {
            let code = match self.listen() {
                Some(ending) => self.session.cut_short(&ending),
                None => ExitCode::HostGone,
            };
            exit(code)
        });
    }

    /// Listens until something ends the program from outside; `None` when nobody is
    /// left who could be told.
    fn listen(&mut self) -> Option<Ending> {
        // What it is when the deadline comes.
        let mut late: fn() -> Ending = over_time;
        loop {
            match self.next() {
                Ok(Some(Input::Stdin(bytes))) => {
                    if !self.stdin.push(bytes, self.deadline) {
                        return Some(late());
                    }
                }
                Ok(Some(Input::StdinEnd)) => self.stdin.end(),
                Ok(Some(Input::Stop)) if self.stop.ask() => {
                    self.deadline = self.deadline.or_earlier(Deadline::after(GRACE));
                    late = stopped;
                }
                // It cannot be told, or its owner has lost patience.
                Ok(Some(Input::Stop)) => return Some(stopped()),
                Ok(None) => {}
                Err(Violation::Channel(ChannelError::Late)) => return Some(late()),
                Err(Violation::Channel(error)) if error.is_gone() => return None,
                Err(violation) => {
                    return Some(ending::early(Cause::Failed, violation.to_string()));
                }
            }
        }
    }

    /// The next frame; `None` for one that is to be ignored.
    fn next(&mut self) -> Result<Option<Input>, Violation> {
        let limit = MAX_FRAME_PAYLOAD + INPUT_OVERHEAD;
        let due = [Kind::Input, Kind::Addresses];
        let (kind, payload) = self.channel.receive(&due, limit, self.deadline)?;
        if kind == Kind::Addresses {
            self.lookup.answered(&payload)?;
            return Ok(None);
        }
        match self.input.open(&payload) {
            Ok(input) => Ok(Some(input)),
            // An earlier attachment of the owner's that does not know it yet.
            Err(SessionError::Superseded) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What the host did wrong.
#[derive(Debug, thiserror::Error)]
enum Violation {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the host altered the owner's input: {0}")]
    Session(#[from] SessionError),
    #[error("the host gave an answer that is none to a lookup: {0}")]
    Lookup(#[from] LookupError),
}

/// How long a program that was told to stop has for it.
const GRACE: Duration = Duration::from_secs(15);

/// The ending of a program that its owner stopped.
pub fn stopped() -> Ending {
    ending::early(Cause::Stopped, "stopped by its owner".into())
}

fn over_time() -> Ending {
    ending::early(Cause::Limit, "over its limit of time".into())
}
