//! A connection of the program.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, with what was received ahead of the program.
///
/// Whatever its peer does ends the connection at worst.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that were received only to see whether there are any.
    ahead: Vec<u8>,
    taken: usize,
    /// How receiving ended: with the peer's own end, or an error.
    end: Option<Result<(), ErrorKind>>,
    /// Whether bytes may still wait inside the stream for being sent.
    unsent: bool,
    write_ended: bool,
    blocking: bool,
}

/// Bytes that are received ahead.
const AHEAD: usize = 16 << 10;

impl Connection {
    /// The connection over `stream`; its operations wait if it is `blocking`.
    pub fn new(stream: Box<dyn Stream>, blocking: bool) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            taken: 0,
            end: None,
            unsent: false,
            write_ended: false,
            blocking,
        }
    }

    /// Whether operations wait.
    pub const fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// Has operations wait, or not.
    pub const fn set_blocking(&mut self, blocking: bool) {
        self.blocking = blocking;
    }

    /// Receives into `buffer`; 0 is the end. With `peek` the bytes are received again by
    /// the next operation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] where it does not wait; else the connection's end.
    pub async fn receive(&mut self, buffer: &mut [u8], peek: bool) -> io::Result<usize> {
        let blocking = self.blocking;
        run(blocking, |context| self.poll_receive(context, buffer, peek)).await
    }

    /// Sends the first of `bytes`; gives how many.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`]; [`ErrorKind::BrokenPipe`] after [`Connection::end_sending`].
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.write_ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let blocking = self.blocking;
        let sent = run(blocking, |context| {
            self.stream_mut().poll_write(context, bytes)
        })
        .await?;
        self.unsent = true;
        // Who waits, waits until the network has the bytes; the others' go on their way
        // while they wait for something else.
        match run(blocking, |context| self.poll_flush(context)).await {
            Ok(()) => Ok(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(sent),
            Err(error) => Err(error),
        }
    }

    /// Tells the peer that nothing more is sent.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`].
    pub async fn end_sending(&mut self) -> io::Result<()> {
        self.write_ended = true;
        poll_fn(|context| self.stream_mut().poll_shutdown(context)).await
    }

    /// Gives up what is received from now on.
    pub fn end_receiving(&mut self) {
        self.ahead.clear();
        self.taken = 0;
        self.end.get_or_insert(Ok(()));
    }

    /// Sends what was not sent yet and the end, for as long as it takes.
    pub async fn close(mut self) {
        if !self.write_ended {
            // Nobody is left who could be told that it fails.
            let _ = self.end_sending().await;
        }
    }

    /// Ready when receiving would not wait.
    pub fn poll_receivable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.taken < self.ahead.len() || self.end.is_some() {
            return Poll::Ready(());
        }
        self.ahead.resize(AHEAD, 0);
        self.taken = 0;
        let mut buffer = ReadBuf::new(&mut self.ahead);
        let polled = Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
        let received = buffer.filled().len();
        self.ahead.truncate(received);
        match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if received == 0 => self.end = Some(Ok(())),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => self.end = Some(Err(error.kind())),
        }
        Poll::Ready(())
    }

    /// Ready when sending would not wait.
    pub fn poll_sendable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.write_ended {
            return Poll::Ready(());
        }
        // An error is for the program's next operation to find.
        self.poll_flush(context).map(drop)
    }

    /// Goes on sending what waits inside the stream.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unsent {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(self.stream_mut().poll_flush(context));
        self.unsent = false;
        Poll::Ready(flushed)
    }

    /// Bytes that are there, as far as is known without receiving; and whether they are
    /// the last.
    pub fn received_ahead(&self) -> (usize, bool) {
        (self.ahead.len() - self.taken, self.end.is_some())
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        peek: bool,
    ) -> Poll<io::Result<usize>> {
        if self.taken == self.ahead.len() && self.end.is_none() && !peek {
            // Straight to the program.
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *self.stream).poll_read(context, &mut buffer))
                .inspect_err(|error| self.end = Some(Err(error.kind())))?;
            let received = buffer.filled().len();
            if received == 0 && buffer.capacity() > 0 {
                self.end = Some(Ok(()));
            }
            return Poll::Ready(Ok(received));
        }
        ready!(self.poll_receivable(context));
        let available = &self.ahead[self.taken..];
        if available.is_empty() {
            let end = self.end.unwrap_or(Ok(()));
            return Poll::Ready(end.map(|()| 0).map_err(io::Error::from));
        }
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        if !peek {
            self.taken += count;
        }
        Poll::Ready(Ok(count))
    }

    fn stream_mut(&mut self) -> Pin<&mut dyn Stream> {
        Pin::new(&mut *self.stream)
    }
}

/// The result of an operation that waits if it is `blocking`, and else is tried twice:
/// before and after everything else in the Keep has had its turn.
pub async fn run<T>(
    blocking: bool,
    mut operation: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> io::Result<T> {
    if blocking {
        return poll_fn(operation).await;
    }
    for turn in 0..2 {
        if turn > 0 {
            yield_now().await;
        }
        let polled = poll_fn(|context| Poll::Ready(operation(context))).await;
        if let Poll::Ready(result) = polled {
            return result;
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_was_received_ahead_comes_first() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut connection = Connection::new(Box::new(ours), true);
        peer.write_all(b"hello world").await.unwrap();
        poll_fn(|context| connection.poll_receivable(context)).await;
        assert_eq!(connection.received_ahead(), (11, false));
        let mut buffer = [0; 5];
        assert_eq!(connection.receive(&mut buffer, true).await.unwrap(), 5);
        assert_eq!(connection.receive(&mut buffer, false).await.unwrap(), 5);
        assert_eq!(&buffer, b"hello");
        drop(peer);
        let mut rest = [0; 64];
        assert_eq!(connection.receive(&mut rest, false).await.unwrap(), 6);
        assert_eq!(connection.receive(&mut rest, false).await.unwrap(), 0);
        assert_eq!(connection.received_ahead(), (0, true));
    }

    #[tokio::test]
    async fn without_waiting_there_is_nothing_yet() {
        let (mut peer, ours) = tokio::io::duplex(4);
        let mut connection = Connection::new(Box::new(ours), false);
        let mut buffer = [0; 8];
        let refused = connection.receive(&mut buffer, false).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        assert_eq!(connection.send(b"12345678").await.unwrap(), 4);
        let refused = connection.send(b"5678").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        let mut received = [0; 4];
        peer.read_exact(&mut received).await.unwrap();
        assert_eq!(connection.send(b"5678").await.unwrap(), 4);
        connection.end_sending().await.unwrap();
        let refused = connection.send(b"9").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        peer.write_all(b"!").await.unwrap();
        assert_eq!(connection.receive(&mut buffer, false).await.unwrap(), 1);
    }
}
