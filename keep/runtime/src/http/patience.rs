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

    /// Whether the body, of which no more comes, is shorter than was announced. A stream of HTTP/2 that its
    /// peer has reset without an error (RFC 9113, 8.1) looks as if it had ended.
    fn is_cut(&self) -> bool {
        !self.body.is_end_stream() && self.body.size_hint().lower() > 0
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
            Some(None) if self.is_cut() => Some(Err(Error::ConnectionTerminated)),
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
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, Empty};
    use hyper::{Request, Response, server::conn::http2, service::service_fn};
    use hyper_util::rt::TokioExecutor;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::mpsc,
    };
    use wasmtime_wasi_http::io::TokioIo;

    use super::*;

    /// What a server receives of a body that announces ten bytes, when these come and then the stream is
    /// reset without an error.
    async fn received(sent: &'static [u8]) -> Result<Bytes, Error> {
        let (peer, ours) = tokio::io::duplex(1 << 16);
        let (sender, mut receiver) = mpsc::channel(1);
        let serve = service_fn(|request: Request<Incoming>| {
            let sender = sender.clone();
            async move {
                let body = PatientBody::new(request.into_body(), Duration::from_secs(60));
                let received = body.collect().await;
                sender
                    .send(received.map(|body| body.to_bytes()))
                    .await
                    .unwrap();
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let server = http2::Builder::new(TokioExecutor::new());
        let serving = server.serve_connection(TokioIo::new(ours), serve);
        let sending = async {
            let (client, connection) = h2::client::handshake(peer).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = Request::post("http://peer.example/").header("content-length", "10");
            let mut client = client.ready().await.unwrap();
            let (_answer, mut body) =
                (client.send_request(request.body(()).unwrap(), false)).unwrap();
            body.send_data(sent.into(), sent.len() == 10).unwrap();
            if sent.len() < 10 {
                body.send_reset(h2::Reason::NO_ERROR);
            }
            let received = receiver.recv().await.unwrap();
            connection.abort();
            received
        };
        tokio::select! {
            received = sending => received,
            served = serving => panic!("{served:?}"),
        }
    }

    #[tokio::test]
    async fn a_body_that_was_cut_is_not_whole() {
        assert_eq!(received(b"0123456789").await.unwrap(), &b"0123456789"[..]);
        assert!(matches!(
            received(b"0123").await,
            Err(Error::ConnectionTerminated)
        ));
    }

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
