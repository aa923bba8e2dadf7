//! The stream to the host, as envelopes of `wire/hostcall`.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use enarx_wire_hostcall::envelope::{EnvelopeError, Header, Kind};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// The stream to the host. One thread reads it at a time, and one writes.
///
/// The descriptor never blocks on its own: waiting is done where a deadline can
/// end it, since the host may stop in the middle of an envelope.
pub struct Channel {
    descriptor: OwnedFd,
}

impl Channel {
    /// Takes the stream.
    ///
    /// # Errors
    ///
    /// When the descriptor is not one that can be read and written.
    pub fn new(descriptor: OwnedFd) -> Result<Self, ChannelError> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        rustix::fs::fcntl_setfl(&descriptor, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self { descriptor })
    }

    /// Receives an envelope of one of the `due` kinds with at most `limit` bytes of
    /// payload.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] names what the host did instead.
    pub fn receive(
        &self,
        due: &[Kind],
        limit: usize,
        deadline: Deadline,
    ) -> Result<(Kind, Vec<u8>), ChannelError> {
        let mut payload = Vec::new();
        let kind = self.receive_into(&mut payload, due, limit, deadline)?;
        Ok((kind, payload))
    }

    /// [`Channel::receive`] with the payload in place of what `payload` holds: for many envelopes
    /// of a size, whose memory is then made once.
    ///
    /// # Errors
    ///
    /// As [`Channel::receive`].
    pub fn receive_into(
        &self,
        payload: &mut Vec<u8>,
        due: &[Kind],
        limit: usize,
        deadline: Deadline,
    ) -> Result<Kind, ChannelError> {
        let mut header = [0; Header::SIZE];
        self.fill(&mut header, deadline)?;
        let header = Header::decode(header)?;
        if !due.contains(&header.kind) {
            return Err(ChannelError::NotDue(header.kind));
        }
        let length = header.length as usize;
        if length > limit {
            return Err(ChannelError::TooLong { length, limit });
        }
        payload.resize(length, 0);
        self.fill(payload, deadline)?;
        Ok(header.kind)
    }

    /// Sends one envelope.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] when the host does not take it, or the payload is too long.
    pub fn send(&self, kind: Kind, payload: &[u8], deadline: Deadline) -> Result<(), ChannelError> {
        let header = Header::new(kind, payload.len())?.encode();
        // One write for both: the host reads envelopes, not halves of them.
        let envelope = [header.as_slice(), payload].concat();
        let mut rest = envelope.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.descriptor, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn fill(&self, mut buffer: &mut [u8], deadline: Deadline) -> Result<(), ChannelError> {
        while !buffer.is_empty() {
            match rustix::io::read(&self.descriptor, &mut *buffer) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => buffer = &mut buffer[count..],
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait(&self, flags: PollFlags, deadline: Deadline) -> Result<(), ChannelError> {
        let timeout = match deadline.left() {
            None => None,
            Some(Duration::ZERO) => return Err(ChannelError::Late),
            Some(left) => Some(Timespec::try_from(left).map_err(|_| ChannelError::Late)?),
        };
        let mut descriptors = [PollFd::new(&self.descriptor, flags)];
        match poll(&mut descriptors, timeout.as_ref()) {
            // A timeout is found by the next wait, an error by the next transfer.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// When waiting ends, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Waiting does not end by itself.
    pub const NEVER: Self = Self(None);

    /// The deadline `time` from now; never, if that is beyond what a clock counts.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// The earlier of two deadlines.
    pub fn or_earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Self(Some(one.min(other))),
            (one, other) => Self(one.or(other)),
        }
    }

    /// Time until then; `None` for [`Deadline::NEVER`].
    pub fn left(self) -> Option<Duration> {
        self.0
            .map(|instant| instant.saturating_duration_since(Instant::now()))
    }
}

/// What went wrong on the channel: the host's doing, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The host closed the channel.
    #[error("the host closed the channel")]
    Closed,
    /// The deadline came first.
    #[error("the host did not answer in time")]
    Late,
    /// A malformed envelope.
    #[error("the host sent a malformed envelope: {0}")]
    Envelope(#[from] EnvelopeError),
    /// An envelope out of turn.
    #[error("the host sent an envelope ({0:?}) that was not due")]
    NotDue(Kind),
    /// More payload than this envelope may have here.
    #[error("the host sent {length} bytes where at most {limit} are due")]
    TooLong {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The system refused to transfer bytes.
    #[error("the channel failed ({0})")]
    Failed(#[from] Errno),
}

impl ChannelError {
    /// Whether there is nobody left to talk to.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Closed | Self::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, os::unix::net::UnixStream};

    fn pair() -> (Channel, UnixStream) {
        let (keep, host) = UnixStream::pair().unwrap();
        (Channel::new(keep.into()).unwrap(), host)
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(50))
    }

    #[test]
    fn envelopes_arrive_in_pieces() {
        let (channel, mut host) = pair();
        let writer = std::thread::spawn(move || {
            for byte in [3, 4, 0, 0, 0, b'a', b'b', b'c', b'd'] {
                host.write_all(&[byte]).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            host
        });
        let received = channel.receive(&[Kind::PackageData], 4, Deadline::NEVER);
        assert_eq!(received, Ok((Kind::PackageData, b"abcd".to_vec())));
        drop(writer.join().unwrap());
        assert_eq!(
            channel.receive(&[Kind::PackageData], 4, Deadline::NEVER),
            Err(ChannelError::Closed)
        );
    }

    #[test]
    fn what_is_not_due_is_named() {
        let received = |bytes: &[u8]| {
            let (channel, mut host) = pair();
            host.write_all(bytes).unwrap();
            channel.receive(&[Kind::Challenge], 32, soon()).unwrap_err()
        };
        assert_eq!(
            received(&[2, 0, 0, 0, 0]),
            ChannelError::NotDue(Kind::Provision)
        );
        assert_eq!(
            received(&[1, 33, 0, 0, 0]),
            ChannelError::TooLong {
                length: 33,
                limit: 32
            }
        );
        assert_eq!(
            received(&[77, 0, 0, 0, 0]),
            ChannelError::Envelope(EnvelopeError::UnknownKind(77))
        );
        // A header without its payload, and nothing at all.
        assert_eq!(received(&[1, 32, 0, 0, 0]), ChannelError::Late);
        assert_eq!(received(&[]), ChannelError::Late);
    }

    #[test]
    fn a_host_that_does_not_read_is_late() {
        let (channel, host) = pair();
        let payload = vec![0; 1 << 20];
        let sent = (0..100).find_map(|_| channel.send(Kind::Output, &payload, soon()).err());
        assert_eq!(sent, Some(ChannelError::Late));
        drop(host);
    }
}
