//! Peers that take their time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use wasmtime_wasi_http::Error;

use crate::network::Stream;

/// A timer that runs while nothing comes forward.
struct Stall {
    time: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    const fn new(time: Duration) -> Self {
        Self { time, timer: None }
    }

    /// What `polled` is, or `None` when it has been pending for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<Option<T>> {
        if let Poll::Ready(result) = polled {
            self.timer = None;
            return Poll::Ready(Some(result));
        }
        let time = self.time;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        timer.as_mut().poll(context).map(|()| None)
    }
}

/// A connection whose peer must take what it is sent.
pub struct Patient {
    stream: Box<dyn Stream>,
    sending: Stall,
}

/// How long a peer may take nothing of what waits for it.
const SENDING: Duration = Duration::from_secs(30);

impl Patient {
    /// A connection over `stream`.
    pub const fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            sending: Stall::new(SENDING),
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let watched = ready!(self.sending.watch(context, polled));
        Poll::Ready(watched.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}

/// A body whose parts must come.
pub struct PatientBody {
    body: Incoming,
    receiving: Stall,
}

impl PatientBody {
    /// `body`, between whose parts at most `time` may pass.
    pub const fn new(body: Incoming, time: Duration) -> Self {
        Self {
            body,
            receiving: Stall::new(time),
        }
    }
}

impl Body for PatientBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let frame = ready!(self.receiving.watch(context, polled));
        Poll::Ready(match frame {
            Some(frame) => frame.map(|frame| frame.map_err(Error::from)),
            None => Some(Err(Error::ConnectionReadTimeout)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut peer, ours) = tokio::io::duplex(4);
        let mut patient = Patient::new(Box::new(ours));
        let error = patient.write_all(b"12345678").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut received = [0; 4];
        peer.read_exact(&mut received).await.unwrap();
        patient.write_all(b"5678").await.unwrap();
    }
}
