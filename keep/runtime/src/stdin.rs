//! The program's standard input: a bounded pipe from the session.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdinStream},
    p2::{InputStream, Pollable, StreamError, StreamResult},
};

use crate::channel::Deadline;

/// A pipe with the session's thread at one end and the program at the other.
#[derive(Clone)]
pub struct StdinPipe(Arc<Shared>);

/// Bytes that wait for the program before the session's thread stops reading.
const CAPACITY: usize = 1 << 20;

/// Bytes more that may wait while the session's thread has to go on reading. The host sends
/// a quarter of a mebibyte at most before the answer that it owes.
const RESERVE: usize = 8 << 20;

struct Shared {
    state: Mutex<State>,
    space: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    size: usize,
    ended: bool,
    readers: Vec<Waker>,
    /// How many need the session's thread to go on reading.
    hurrying: usize,
}

impl State {
    const fn is_full(&self) -> bool {
        let reserve = if self.hurrying > 0 { RESERVE } else { 0 };
        self.size >= CAPACITY + reserve
    }
}

/// Has the pipe take more than it usually does, for as long as this lives.
pub struct Hurry(StdinPipe);

impl Drop for Hurry {
    fn drop(&mut self) {
        self.0.state().hurrying -= 1;
    }
}

impl StdinPipe {
    /// An empty pipe.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            space: Condvar::new(),
        }))
    }

    /// Puts bytes in, after waiting until the program has read enough of the ones
    /// before. Gives whether that happened before the deadline.
    pub fn push(&self, bytes: Vec<u8>, deadline: Deadline) -> bool {
        let mut state = self.state();
        while state.is_full() {
            let left = deadline.left().unwrap_or(Duration::MAX);
            if left.is_zero() {
                return false;
            }
            state = match self.0.space.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if !bytes.is_empty() && !state.ended {
            state.size += bytes.len();
            state.chunks.push_back(bytes.into());
            wake(state);
        }
        true
    }

    /// Has the session's thread go on reading, for what comes behind the bytes that the program
    /// has not read.
    pub fn hurry(&self) -> Hurry {
        self.state().hurrying += 1;
        self.0.space.notify_one();
        Hurry(self.clone())
    }

    /// Lets the program see an end of file behind what was put in.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        wake(state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when reading would not wait.
    pub fn poll_ready(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.ended || !state.chunks.is_empty() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !state.readers.iter().any(|known| known.will_wake(waker)) {
            state.readers.push(waker.clone());
        }
        Poll::Pending
    }

    /// Takes up to `size` bytes; `None` at the end of the input.
    fn take(&self, size: usize) -> Option<Bytes> {
        let mut state = self.state();
        let Some(chunk) = state.chunks.front_mut() else {
            return (!state.ended).then(Bytes::new);
        };
        let taken = chunk.split_to(size.min(chunk.len()));
        if chunk.is_empty() {
            state.chunks.pop_front();
        }
        state.size -= taken.len();
        self.0.space.notify_one();
        Some(taken)
    }
}

impl IsTerminal for StdinPipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for StdinPipe {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for StdinPipe {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }
}

impl InputStream for StdinPipe {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.take(size).ok_or(StreamError::Closed)
    }
}

impl AsyncRead for StdinPipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_ready(context).is_pending() {
            return Poll::Pending;
        }
        if let Some(bytes) = self.take(buffer.remaining()) {
            buffer.put_slice(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let readers = std::mem::take(&mut state.readers);
    drop(state);
    readers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_end() {
        let pipe = StdinPipe::new();
        assert_eq!(pipe.take(8), Some(Bytes::new()));
        assert!(pipe.push(b"hello".to_vec(), Deadline::NEVER));
        assert!(pipe.push(b"world".to_vec(), Deadline::NEVER));
        pipe.end();
        assert!(pipe.push(b"late".to_vec(), Deadline::NEVER));
        assert_eq!(pipe.take(3).unwrap(), "hel");
        assert_eq!(pipe.take(9).unwrap(), "lo");
        assert_eq!(pipe.take(9).unwrap(), "world");
        assert_eq!(pipe.take(9), None);
    }

    #[test]
    fn a_full_pipe_waits_for_its_reader_or_the_deadline() {
        let pipe = StdinPipe::new();
        assert!(pipe.push(vec![1; CAPACITY], Deadline::NEVER));
        assert!(!pipe.push(vec![2], Deadline::after(Duration::from_millis(5))));
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                std::thread::sleep(Duration::from_millis(10));
                pipe.take(1).unwrap().len()
            }
        });
        assert!(pipe.push(vec![2], Deadline::NEVER));
        assert_eq!(reader.join().unwrap(), 1);
    }

    #[test]
    fn a_full_pipe_takes_more_when_it_must() {
        let pipe = StdinPipe::new();
        assert!(pipe.push(vec![1; CAPACITY], Deadline::NEVER));
        let pushing = std::thread::spawn({
            let pipe = pipe.clone();
            move || pipe.push(vec![2; RESERVE], Deadline::NEVER)
        });
        let hurry = pipe.hurry();
        assert!(pushing.join().unwrap());
        let soon = || Deadline::after(Duration::from_millis(5));
        assert!(!pipe.push(vec![3], soon()));
        drop(hurry);
        assert_eq!(pipe.take(RESERVE).unwrap().len(), CAPACITY);
        assert!(!pipe.push(vec![3], soon()));
    }
}
