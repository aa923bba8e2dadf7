//! The session with a provisioned Keep, through its host.

use enarx_wire_host_api::KeepId;
use enarx_wire_provision::{Input, InputWriter, Output, OutputReader, SessionError, SessionSecret};
use futures_util::{
    TryStreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use crate::{HostConnection, HostError, SystemRandom};

/// A session with one Keep.
#[derive(Debug, Clone)]
pub struct Session {
    keep: KeepId,
    secret: SessionSecret,
}

impl Session {
    /// Takes up a session again.
    #[must_use]
    pub const fn new(keep: KeepId, secret: SessionSecret) -> Self {
        Self { keep, secret }
    }

    /// The host's name for the Keep.
    #[must_use]
    pub const fn keep(&self) -> KeepId {
        self.keep
    }

    /// The secret, to be stored for a later process of the owner.
    #[must_use]
    pub const fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// What the Keep says, from frame `from` on, decrypted and in order. With `follow`
    /// the stream goes on until the Keep's authenticated end, and any other end is
    /// an error; without, it stops where the host has no more.
    ///
    /// # Errors
    ///
    /// [`SessionFailure::Host`] when the host does not give the output, or, in the
    /// stream, what [`Session::events`]'s items say.
    pub async fn events(
        &self,
        host: &dyn HostConnection,
        from: u64,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<SessionEvent, SessionFailure>>, SessionFailure> {
        let output = host.output(self.keep, from, follow).await?;
        let mut reader = OutputReader::new(&self.secret, from);
        let lost = (output.first > from).then(|| {
            reader.skip_to(output.first);
            SessionEvent::Lost {
                first: from,
                next: output.first,
            }
        });
        let state = (output.frames, reader, lost);
        let events = stream::try_unfold(
            state,
            move |(mut frames, mut reader, mut lost)| async move {
                if let Some(event) = lost.take() {
                    return Ok(Some((event, (frames, reader, None))));
                }
                match frames.try_next().await? {
                    Some(frame) => {
                        let event = SessionEvent::Output(reader.open(&frame)?);
                        Ok(Some((event, (frames, reader, None))))
                    }
                    None if follow => {
                        reader.finish()?;
                        Ok(None)
                    }
                    None => Ok(None),
                }
            },
        );
        Ok(Box::pin(events))
    }

    /// Attaches this process's input. `epoch` comes from
    /// [`crate::SessionStore::next_epoch`], or is 1 for a session that only this
    /// process knows. The stream is what [`HostConnection::input`] takes.
    #[must_use]
    pub fn attach(&self, epoch: u64) -> (Attachment, BoxStream<'static, Vec<u8>>) {
        let (sender, receiver) = mpsc::channel(FRAMES_AHEAD);
        let attachment = Attachment {
            writer: InputWriter::new(&self.secret, epoch, SystemRandom::new().bytes()),
            frames: sender,
        };
        let frames = stream::unfold(receiver, |mut receiver| async move {
            let frame = receiver.recv().await?;
            Some((frame, receiver))
        });
        (attachment, Box::pin(frames))
    }
}

/// What came of a session's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The Keep's words.
    Output(Output),
    /// The host says that it no longer holds the frames from `first` up to `next`.
    Lost {
        /// The first missing frame.
        first: u64,
        /// The first frame that is there.
        next: u64,
    },
}

impl std::fmt::Display for SessionEvent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Output(_) => formatter.write_str("output"),
            Self::Lost { first, next } => write!(
                formatter,
                "the host does not hold the output from frame {first} up to frame {next}"
            ),
        }
    }
}

/// This process's input to a Keep.
pub struct Attachment {
    writer: InputWriter,
    frames: mpsc::Sender<Vec<u8>>,
}

impl Attachment {
    /// Encrypts and queues one input; waits while the host is slow.
    ///
    /// # Errors
    ///
    /// [`SessionFailure::Session`] when it does not fit a frame,
    /// [`SessionFailure::Detached`] when the host no longer takes input.
    pub async fn send(&mut self, input: &Input) -> Result<(), SessionFailure> {
        let frame = self.writer.frame(input)?;
        self.frames
            .send(frame)
            .await
            .map_err(|_| SessionFailure::Detached)
    }
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionFailure {
    /// The host failed or refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What the host gave is not what the Keep said.
    #[error("the host gave other output than the Keep's: {0}")]
    Session(#[from] SessionError),
    /// The host no longer takes input.
    #[error("the host no longer takes input for this Keep")]
    Detached,
}

/// Input frames that may wait for the host.
const FRAMES_AHEAD: usize = 8;
