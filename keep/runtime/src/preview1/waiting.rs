//! Waiting for one thing, while what the program has sent goes on its way.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};

use tokio::task::yield_now;
use wasmtime_wasi::p1::types::{Errno, Error};

use super::{Descriptors, Preview1};

impl Preview1 {
    /// The result of an operation of sockets that waits if it is `blocking`, and else is tried
    /// twice: before and after everything else in the Keep has had its turn.
    ///
    /// # Errors
    ///
    /// The operation's; [`Errno::Again`] where it does not wait.
    pub(super) async fn run<T>(
        &mut self,
        blocking: bool,
        mut operation: impl FnMut(&mut Descriptors, &mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Result<T, Error> {
        if blocking {
            return poll_fn(|context| {
                let polled = operation(&mut self.descriptors, context);
                if polled.is_pending() {
                    self.descriptors.poll_flush(context);
                }
                polled
            })
            .await;
        }
        for turn in 0..2 {
            if turn > 0 {
                yield_now().await;
            }
            let polled =
                poll_fn(|context| Poll::Ready(operation(&mut self.descriptors, context))).await;
            if let Poll::Ready(result) = polled {
                return result;
            }
        }
        Err(Errno::Again.into())
    }
}

/// The result of something that may wait and has nothing to do with sockets.
pub(super) async fn beside<F: Future>(descriptors: &mut Descriptors, operation: F) -> F::Output {
    let mut operation = pin!(operation);
    poll_fn(|context| {
        let polled = operation.as_mut().poll(context);
        if polled.is_pending() {
            descriptors.poll_flush(context);
        }
        polled
    })
    .await
}
