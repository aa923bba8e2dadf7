//! The session with the owner: frames out.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError},
    thread,
    time::Duration,
};

use enarx_wire_hostcall::envelope::Kind;
use enarx_wire_provision::{
    Ending, MAX_FRAME_PAYLOAD, Output, OutputWriter, SessionError, SessionSecret,
};

use crate::{
    channel::{Channel, ChannelError, Deadline},
    process::ExitCode,
};

/// The Keep's output to its owner, through the host.
pub struct Session {
    channel: Arc<Channel>,
    writer: Mutex<OutputWriter>,
    /// How the program has ended, once it has.
    settled: OnceLock<Ending>,
}

/// What a program writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Session {
    /// The session that has just begun.
    pub fn new(channel: Arc<Channel>, secret: &SessionSecret) -> Self {
        Self {
            channel,
            writer: Mutex::new(OutputWriter::new(secret)),
            settled: OnceLock::new(),
        }
    }

    /// Sends `bytes` of one of the program's streams, waiting as long as the host
    /// makes it wait.
    ///
    /// # Errors
    ///
    /// [`LostSession`] when the host is gone or the session has ended.
    pub fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), LostSession> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks(MAX_FRAME_PAYLOAD) {
            let output = match stream {
                Stream::Stdout => Output::Stdout(chunk.to_vec()),
                Stream::Stderr => Output::Stderr(chunk.to_vec()),
            };
            self.send(&mut writer, &output, Deadline::NEVER)?;
        }
        Ok(())
    }

    /// Tells the owner something of the runtime's own.
    ///
    /// # Errors
    ///
    /// As [`Session::write`].
    pub fn log(&self, text: String) -> Result<(), LostSession> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&mut writer, &Output::Log(text), Deadline::NEVER)
    }

    /// Tells the owner the certificate that this Keep has issued to itself, in DER.
    ///
    /// # Errors
    ///
    /// As [`Session::write`].
    pub fn tell_certificate(&self, certificate: &[u8]) -> Result<(), LostSession> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = Output::Certificate(certificate.to_vec());
        self.send(&mut writer, &certificate, Deadline::NEVER)
    }

    /// Asks the host to look up a name (`wire/hostcall`'s `lookup`).
    ///
    /// # Errors
    ///
    /// [`LostSession`] when the host is gone.
    pub fn look_up(&self, request: &[u8]) -> Result<(), LostSession> {
        // Held so that nothing else is written to the channel meanwhile.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.channel.send(Kind::Lookup, request, Deadline::NEVER)?)
    }

    /// Notes how the program has ended. Whatever happens from then on, this is what the owner is
    /// told.
    pub fn settle(&self, ending: &Ending) {
        let _ = self.settled.set(ending.clone());
    }

    /// Ends the session with an authenticated ending, waiting as long as the host
    /// makes it wait, as for all other output; gives what the process exits with.
    pub fn end(&self, ending: &Ending) -> ExitCode {
        self.end_until(ending, Deadline::NEVER)
    }

    /// [`Session::end`] from outside the program. The host may have stalled the
    /// program's thread in the middle of a frame, so this waits for a bounded time
    /// only.
    pub fn cut_short(&self, ending: &Ending) -> ExitCode {
        self.end_until(ending, Deadline::after(PATIENCE))
    }

    fn end_until(&self, ending: &Ending, deadline: Deadline) -> ExitCode {
        let ending = Output::End(self.settled.get_or_init(|| ending.clone()).clone());
        let sent = self
            .lock_until(deadline)
            .and_then(|mut writer| self.send(&mut writer, &ending, deadline));
        match sent {
            // The other thread was first, and its ending is the session's.
            Ok(()) | Err(LostSession::Session(SessionError::AfterEnd)) => ExitCode::Ended,
            Err(_) => ExitCode::HostGone,
        }
    }

    fn lock_until(&self, deadline: Deadline) -> Result<MutexGuard<'_, OutputWriter>, LostSession> {
        loop {
            match self.writer.try_lock() {
                Ok(writer) => return Ok(writer),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if deadline.left() == Some(Duration::ZERO) => {
                    return Err(ChannelError::Late.into());
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn send(
        &self,
        writer: &mut OutputWriter,
        output: &Output,
        deadline: Deadline,
    ) -> Result<(), LostSession> {
        let frame = writer.frame(output)?;
        Ok(self.channel.send(Kind::Output, &frame, deadline)?)
    }
}

/// The owner cannot be reached any more.
#[derive(Debug, thiserror::Error)]
pub enum LostSession {
    /// The host is gone.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// How long the host has for taking the end of the session.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream};

    use enarx_wire_hostcall::envelope::Header;
    use enarx_wire_provision::{Cause, OutputReader};

    use super::*;
    use crate::ending;

    #[test]
    fn a_program_that_has_ended_cannot_be_stopped() {
        let (mut host, keep) = UnixStream::pair().unwrap();
        let secret = SessionSecret::new([7; 32]);
        let channel = Arc::new(Channel::new(keep.into()).unwrap());
        let session = Session::new(channel, &secret);
        let exited = Ending {
            cause: Cause::Exited,
            status: 0,
            message: String::new(),
        };
        session.settle(&exited);
        session.cut_short(&ending::early(Cause::Stopped, "stopped".into()));
        session.end(&exited);
        drop(session);
        let mut received = Vec::new();
        host.read_to_end(&mut received).unwrap();
        let frame = &received[Header::SIZE..];
        let told = OutputReader::new(&secret, 0).open(frame).unwrap();
        assert_eq!(told, Output::End(exited));
    }
}
