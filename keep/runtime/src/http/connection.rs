//! One connection of a client's.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{sync::watch, time::timeout};
use wasmtime_wasi_http::{Error, WasiBody, io::TokioIo};

use super::patience::Patient;
use crate::{network::Stream, stop::Stopping};

/// How long a client has for a request's head, and may say nothing between requests.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long a client may keep a connection without any request.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long a client has for its own end once it was told that there will be no more.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Bytes of a request's head, and of what is received or sent at a time.
const BUFFER: usize = 64 << 10;
const HEAD: u32 = 64 << 10;

/// Requests at a time over one connection of HTTP/2.
const STREAMS: u32 = 16;

/// Bytes of request bodies that a client of HTTP/2 may send ahead: of one, and of all. Those of
/// requests that wait for their turn must not keep the others' from coming; and those of all
/// connections together must fit into a Keep.
const STREAM_WINDOW: u32 = 32 << 10;
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

/// How often a client of HTTP/2 is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// Serves a connection to its end. Whatever the client does is its own loss.
pub async fn serve<F>(
    stream: Box<dyn Stream>,
    is_http2: bool,
    stopping: Stopping,
    respond: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = Result<Response<WasiBody>, NoAnswer>> + Send + 'static,
{
    let activity = Activity::new();
    let service = service_fn(|request| {
        let active = activity.begin();
        let answer = respond(request);
        async move {
            let answer = answer.await?;
            Ok::<_, NoAnswer>(answer.map(|body| ActiveBody {
                body,
                _active: active,
            }))
        }
    });
    let io = TokioIo::new(Patient::new(stream));
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD)
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(io, service);
        let end = |connection: Pin<&mut http2::Connection<_, _, _>>| connection.graceful_shutdown();
        drive(connection, end, &activity, stopping).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .serve_connection(io, service);
        let end = |connection: Pin<&mut http1::Connection<_, _>>| connection.graceful_shutdown();
        drive(connection, end, &activity, stopping).await;
    }
}

/// A request that has no answer: its connection, or its stream of it, is cut.
#[derive(Debug, thiserror::Error)]
#[error("there is no answer")]
pub struct NoAnswer;

/// Drives a connection until it ends. One that has been idle for too long, or shall stop, is
/// told so by `end`, and takes no further requests.
async fn drive<C: Future>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    activity: &Activity,
    mut stopping: Stopping,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        // Its sender lives as long as the program.
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = activity.pause(IDLE_TIME) => {}
    }
    end(connection.as_mut());
    tokio::select! {
        _ = connection => {}
        () = activity.pause(LAST_WORDS) => {}
    }
}

/// Counts a connection's requests.
struct Activity(watch::Sender<Requests>);

#[derive(Clone, Copy, Default)]
struct Requests {
    under_way: usize,
    begun: u64,
}

/// A request that is under way.
struct Active(watch::Sender<Requests>);

impl Activity {
    fn new() -> Self {
        Self(watch::Sender::new(Requests::default()))
    }

    fn begin(&self) -> Active {
        self.0.send_modify(|requests| {
            requests.under_way += 1;
            requests.begun += 1;
        });
        Active(self.0.clone())
    }

    /// Waits until nothing has been under way for `time`.
    async fn pause(&self, time: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            // Its sender is this one.
            let _ = requests.wait_for(|now| now.under_way == 0).await;
            let begun = self.0.borrow().begun;
            if timeout(time, requests.wait_for(|now| now.begun != begun))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.send_modify(|requests| requests.under_way -= 1);
    }
}

/// The body of an answer, with which its request ends.
struct ActiveBody {
    body: WasiBody,
    _active: Active,
}

impl Body for ActiveBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
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
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_begins_when_the_last_request_ends() {
        let activity = Activity::new();
        let (first, second) = (activity.begin(), activity.begin());
        let start = Instant::now();
        tokio::join!(activity.pause(Duration::from_secs(60)), async {
            sleep(Duration::from_secs(100)).await;
            drop(first);
            sleep(Duration::from_secs(100)).await;
            drop(second);
            sleep(Duration::from_secs(59)).await;
            drop(activity.begin());
        });
        assert_eq!(start.elapsed(), Duration::from_secs(319));
    }
}
