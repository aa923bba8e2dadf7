//! A connection of the program.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{client, server};

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Ready when a stream that has been flushed takes bytes.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()>;
}

impl Stream for TcpStream {
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error is for the next operation to find.
        self.poll_write_ready(context).map(drop)
    }
}

impl Stream for server::TlsStream<BufReader<TcpStream>> {
    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        // It has a buffer of its own, which is empty now.
        Poll::Ready(())
    }
}

impl Stream for client::TlsStream<BufReader<TcpStream>> {
    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A connection, with what was received ahead of the program.
///
/// Whatever its peer does ends the connection at worst.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// Room for bytes that are received only to see whether there are any; made when that is
    /// asked for the first time.
    room: Box<[u8]>,
    /// Those of them that are there and that the program has not taken.
    ahead: Range<usize>,
    /// How receiving ended: with the peer's own end, or an error.
    end: Option<Result<(), ErrorKind>>,
    sending: Sending,
    blocking: bool,
}

/// What the program's side of a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Nothing: the network has all.
    Idle,
    /// Bytes may still wait inside the stream.
    Unsent,
    /// The program sends no more, and the peer may not have been told yet.
    Ending,
    /// The peer has been told.
    Ended,
}

/// Bytes that are received ahead.
const AHEAD: usize = 16 << 10;

impl Connection {
    /// The connection over `stream`; its operations wait if it is `blocking`.
    pub fn new(stream: Box<dyn Stream>, blocking: bool) -> Self {
        Self {
            stream,
            room: Box::default(),
            ahead: 0..0,
            end: None,
            sending: Sending::Idle,
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
    /// The connection's end.
    pub fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        peek: bool,
    ) -> Poll<io::Result<usize>> {
        if self.ahead.is_empty() && self.end.is_none() && !peek {
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
        let available = &self.room[self.ahead.clone()];
        if available.is_empty() {
            let end = self.end.unwrap_or(Ok(()));
            return Poll::Ready(end.map(|()| 0).map_err(io::Error::from));
        }
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        if !peek {
            self.ahead.start += count;
        }
        Poll::Ready(Ok(count))
    }

    /// Sends the first of `bytes`; gives how many. They may wait inside the stream then:
    /// [`Connection::poll_flush`] sends those.
    ///
    /// # Errors
    ///
    /// The connection's end; [`ErrorKind::BrokenPipe`] after [`Connection::end_sending`].
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_ended_sending() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let sent = ready!(self.stream_mut().poll_write(context, bytes))?;
        self.sending = Sending::Unsent;
        Poll::Ready(Ok(sent))
    }

    /// Has the peer told that nothing more is sent, as soon as it has taken what was:
    /// [`Connection::poll_flush`] does that.
    pub fn end_sending(&mut self) {
        if self.sending != Sending::Ended {
            self.sending = Sending::Ending;
        }
    }

    /// Gives up what is received from now on.
    pub fn end_receiving(&mut self) {
        self.ahead = 0..0;
        self.end.get_or_insert(Ok(()));
    }

    /// Sends what was not sent yet and the end, for as long as it takes.
    pub async fn close(mut self) {
        self.end_sending();
        // Nobody is left who could be told that it fails.
        let _ = poll_fn(|context| self.poll_flush(context)).await;
    }

    /// Ready when receiving would not wait.
    pub fn poll_receivable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.ahead.is_empty() || self.end.is_some() {
            return Poll::Ready(());
        }
        if self.room.is_empty() {
            self.room = vec![0; AHEAD].into();
        }
        let mut buffer = ReadBuf::new(&mut self.room);
        let polled = ready!(Pin::new(&mut *self.stream).poll_read(context, &mut buffer));
        self.ahead = 0..buffer.filled().len();
        match polled {
            Ok(()) if self.ahead.is_empty() => self.end = Some(Ok(())),
            Ok(()) => {}
            Err(error) => self.end = Some(Err(error.kind())),
        }
        Poll::Ready(())
    }

    /// Ready when sending would not wait.
    pub fn poll_sendable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_ended_sending() {
            return Poll::Ready(());
        }
        // An error is for the program's next operation to find.
        let _ = ready!(self.poll_flush(context));
        self.stream.poll_writable(context)
    }

    /// Goes on sending what waits inside the stream, and the end if it is due.
    ///
    /// # Errors
    ///
    /// The connection's end.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (flushed, next) = match self.sending {
            Sending::Idle | Sending::Ended => return Poll::Ready(Ok(())),
            Sending::Unsent => (self.stream_mut().poll_flush(context), Sending::Idle),
            Sending::Ending => (self.stream_mut().poll_shutdown(context), Sending::Ended),
        };
        let flushed = ready!(flushed);
        self.sending = next;
        Poll::Ready(flushed)
    }

    /// Bytes that are there, as far as is known without receiving; and whether they are
    /// the last.
    pub fn received_ahead(&self) -> (usize, bool) {
        (self.ahead.len(), self.end.is_some())
    }

    fn has_ended_sending(&self) -> bool {
        matches!(self.sending, Sending::Ending | Sending::Ended)
    }

    fn stream_mut(&mut self) -> Pin<&mut dyn Stream> {
        Pin::new(&mut *self.stream)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
        net::TcpListener,
    };

    use super::*;

    impl Stream for DuplexStream {
        fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    /// What an operation gives at once.
    async fn at_once<T>(mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll_fn(|context| Poll::Ready(operation(context))).await
    }

    async fn receive(connection: &mut Connection, buffer: &mut [u8], peek: bool) -> usize {
        let received = poll_fn(|context| connection.poll_receive(context, buffer, peek));
        received.await.unwrap()
    }

    #[tokio::test]
    async fn what_was_received_ahead_comes_first() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut connection = Connection::new(Box::new(ours), true);
        peer.write_all(b"hello world").await.unwrap();
        poll_fn(|context| connection.poll_receivable(context)).await;
        assert_eq!(connection.received_ahead(), (11, false));
        let mut buffer = [0; 5];
        assert_eq!(receive(&mut connection, &mut buffer, true).await, 5);
        assert_eq!(receive(&mut connection, &mut buffer, false).await, 5);
        assert_eq!(&buffer, b"hello");
        drop(peer);
        let mut rest = [0; 64];
        assert_eq!(receive(&mut connection, &mut rest, false).await, 6);
        assert_eq!(receive(&mut connection, &mut rest, false).await, 0);
        assert_eq!(connection.received_ahead(), (0, true));
    }

    #[tokio::test]
    async fn without_waiting_there_is_nothing_yet() {
        let (mut peer, ours) = tokio::io::duplex(4);
        let mut connection = Connection::new(Box::new(ours), false);
        let mut buffer = [0; 8];
        let polled = at_once(|context| connection.poll_receive(context, &mut buffer, false));
        assert!(polled.await.is_pending());
        let polled = at_once(|context| connection.poll_send(context, b"12345678"));
        assert!(matches!(polled.await, Poll::Ready(Ok(4))));
        let polled = at_once(|context| connection.poll_send(context, b"5678"));
        assert!(polled.await.is_pending());
        let mut received = [0; 4];
        peer.read_exact(&mut received).await.unwrap();
        let polled = at_once(|context| connection.poll_send(context, b"5678"));
        assert!(matches!(polled.await, Poll::Ready(Ok(4))));
        connection.end_sending();
        let polled = at_once(|context| connection.poll_send(context, b"9"));
        let Poll::Ready(Err(refused)) = polled.await else {
            panic!("sent after the end");
        };
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        peer.write_all(b"!").await.unwrap();
        assert_eq!(receive(&mut connection, &mut buffer, false).await, 1);
    }

    #[tokio::test]
    async fn a_full_connection_is_not_sendable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let mut connection = Connection::new(Box::new(stream.await.unwrap()), false);
        let (mut peer, _) = listener.accept().await.unwrap();
        poll_fn(|context| connection.poll_sendable(context)).await;
        let bytes = vec![7; 1 << 16];
        let mut sent = 0;
        // The system says that there is no more room only when it is asked for some.
        while let Poll::Ready(size) = at_once(|context| connection.poll_send(context, &bytes)).await
        {
            sent += size.unwrap();
        }
        let polled = at_once(|context| connection.poll_sendable(context));
        assert!(polled.await.is_pending());
        let mut received = vec![0; sent];
        peer.read_exact(&mut received).await.unwrap();
        poll_fn(|context| connection.poll_sendable(context)).await;
        let polled = at_once(|context| connection.poll_send(context, &bytes));
        assert!(polled.await.is_ready());
    }

    #[tokio::test]
    async fn the_end_comes_when_the_peer_has_taken_what_was_sent() {
        // As TLS does: what is sent waits inside until it is flushed.
        let (mut peer, ours) = tokio::io::duplex(4);
        let ours = Hoarding {
            inner: ours,
            hoard: Vec::new(),
        };
        let mut connection = Connection::new(Box::new(ours), false);
        let polled = at_once(|context| connection.poll_send(context, b"12345678"));
        assert!(matches!(polled.await, Poll::Ready(Ok(8))));
        let polled = at_once(|context| connection.poll_sendable(context));
        assert!(polled.await.is_pending());
        connection.end_sending();
        let polled = at_once(|context| connection.poll_flush(context));
        assert!(polled.await.is_pending());
        // Closing goes on with the end that has begun.
        let closing = tokio::spawn(connection.close());
        let mut received = Vec::new();
        peer.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"12345678");
        closing.await.unwrap();
    }

    /// Takes whatever is sent, and sends it on when it is flushed.
    struct Hoarding {
        inner: DuplexStream,
        hoard: Vec<u8>,
    }

    impl Stream for Hoarding {
        fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl AsyncRead for Hoarding {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Hoarding {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.hoard.extend(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            let Self { inner, hoard } = &mut *self;
            while !hoard.is_empty() {
                let sent = ready!(Pin::new(&mut *inner).poll_write(context, hoard))?;
                hoard.drain(..sent);
            }
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(self.as_mut().poll_flush(context))?;
            Pin::new(&mut self.inner).poll_shutdown(context)
        }
    }
}
