//! The program's standard output and standard error: frames of the session.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use enarx_wire_provision::{Cause, MAX_FRAME_PAYLOAD};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use crate::{
    ending,
    limits::OutputMeter,
    process,
    session::{LostSession, Session, Stream},
};

/// One of the program's streams. Writing is unbuffered, and waits for the host.
#[derive(Clone)]
pub struct SessionOutput {
    session: Arc<Session>,
    stream: Stream,
    meter: Option<Arc<OutputMeter>>,
}

impl SessionOutput {
    /// The stream of this session; a program that writes more than `meter` allows is ended.
    pub const fn new(
        session: Arc<Session>,
        stream: Stream,
        meter: Option<Arc<OutputMeter>>,
    ) -> Self {
        Self {
            session,
            stream,
            meter,
        }
    }

    fn write_all(&self, bytes: &[u8]) -> Result<(), LostSession> {
        if let Some(meter) = &self.meter
            && !meter.count(bytes.len())
        {
            let ending = ending::early(Cause::Limit, "over its limit of output".into());
            // A program of many instances has no other end that all of them share.
            process::exit(self.session.cut_short(&ending));
        }
        self.session.write(self.stream, bytes)
    }
}

impl IsTerminal for SessionOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for SessionOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for SessionOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for SessionOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Without its owner there is nothing for the program to go on for.
        self.write_all(&bytes)
            .map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_FRAME_PAYLOAD)
    }
}

impl AsyncWrite for SessionOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.write_all(bytes);
        Poll::Ready(written.map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
