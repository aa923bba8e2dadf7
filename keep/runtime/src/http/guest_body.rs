//! Bodies that programs write.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// An instance's life. Of a body that it has not ended itself when it is over, nobody could tell otherwise
/// that it is not whole: in WASI 0.3 both look the same.
#[derive(Debug, Clone, Default)]
pub struct Life {
    is_over: Arc<AtomicBool>,
}

/// Ends a life when it is dropped.
pub struct Death(Life);

impl Life {
    /// What ends this life. It must be dropped before the instance's store is, in which bodies end.
    pub fn death(&self) -> Death {
        Death(self.clone())
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Death {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// Who is told whether all of a body was taken.
type Told = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A body that an instance writes.
pub struct GuestBody {
    body: WasiBody,
    writer: Life,
    /// Told how it went.
    sent: Option<Told>,
}

impl GuestBody {
    /// `body`, which is whole only if it ends before `writer` does. Whether all of it was taken, `sent` is
    /// told once.
    pub fn new(
        body: WasiBody,
        writer: Life,
        sent: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Self {
        Self {
            body,
            writer,
            sent: Some(Box::new(sent)),
        }
    }

    fn tell(&mut self, result: Result<(), Error>) {
        if let Some(sent) = self.sent.take() {
            sent(result);
        }
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            None if self.writer.is_over() => Some(Err(Error::ConnectionTerminated)),
            None => {
                self.tell(Ok(()));
                None
            }
            frame => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for GuestBody {
    fn drop(&mut self) {
        // Of an answer without a body, the end is not asked for.
        let is_whole = self.body.is_end_stream();
        self.tell(if is_whole {
            Ok(())
        } else {
            Err(Error::ConnectionTerminated)
        });
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    struct Written(mpsc::Receiver<Bytes>);

    impl Body for Written {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let part = ready!(self.0.poll_recv(context));
            Poll::Ready(part.map(|part| Ok(Frame::data(part))))
        }
    }

    fn written() -> (mpsc::Sender<Bytes>, WasiBody) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Written(receiver).boxed_unsync())
    }

    /// The body, and how it went.
    fn told(body: WasiBody, life: Life) -> (GuestBody, oneshot::Receiver<Result<(), Error>>) {
        let (sender, sent) = oneshot::channel();
        let tell = |result| sender.send(result).unwrap();
        (GuestBody::new(body, life, tell), sent)
    }

    #[tokio::test]
    async fn what_ends_with_its_writer_is_not_whole() {
        for is_over in [false, true] {
            let (life, (writer, body)) = (Life::default(), written());
            let death = life.death();
            let (body, sent) = told(body, life);
            writer.send("part".into()).await.unwrap();
            if is_over {
                drop(death);
            }
            drop(writer);
            let received = body.collect().await.map(|body| body.to_bytes());
            let sent = sent.await.unwrap();
            if is_over {
                assert!(matches!(received, Err(Error::ConnectionTerminated)));
                assert!(matches!(sent, Err(Error::ConnectionTerminated)));
            } else {
                assert_eq!(received.unwrap(), &b"part"[..]);
                sent.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_nobody_takes_was_not_sent() {
        let empty = Full::new(Bytes::new()).map_err(|never| match never {});
        let (_writer, written) = written();
        for (body, is_whole) in [(written, false), (empty.boxed_unsync(), true)] {
            let (body, sent) = told(body, Life::default());
            drop(body);
            assert_eq!(sent.await.unwrap().is_ok(), is_whole);
        }
    }
}
