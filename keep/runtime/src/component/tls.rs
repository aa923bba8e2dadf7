//! `wasi:tls`: TLS for what a component speaks over streams of its own, which ends in the Keep like all TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client;
use wasmtime::{Result, component::Linker};
use wasmtime_wasi_tls::{
    Error, TlsProvider, TlsStream, TlsTransport, WasiTlsCtx, WasiTlsCtxBuilder,
    p2::{self, LinkOptions},
    p3,
};

use super::State;
use crate::tls::Tls;

/// Adds `wasi:tls` of WASI 0.2, and of 0.3 where that is allowed.
///
/// # Errors
///
/// When it was added before.
pub fn add_to_linker(linker: &mut Linker<State>, allow_preview3: bool) -> Result<()> {
    let mut options = LinkOptions::default();
    options.tls(true);
    p2::add_to_linker(linker, &options)?;
    if allow_preview3 {
        p3::add_to_linker(linker)?;
    }
    Ok(())
}

/// What an instance makes its connections with.
pub fn context(tls: Tls) -> WasiTlsCtx {
    WasiTlsCtxBuilder::new()
        .provider(Box::new(Client(tls)))
        .build()
}

struct Client(Tls);

impl TlsProvider for Client {
    fn connect(
        &self,
        server_name: String,
        transport: Box<dyn TlsTransport>,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn TlsStream>, Error>> + Send>> {
        let tls = self.0.clone();
        Box::pin(async move {
            let stream = tls.connect_over(&server_name, transport).await?;
            Ok(Box::new(Encrypted(stream)) as Box<dyn TlsStream>)
        })
    }
}

/// A connection after its handshake.
struct Encrypted(client::TlsStream<Box<dyn TlsTransport>>);

impl TlsStream for Encrypted {}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
