//! Native programs with the same TLS library: what one would write without Keeps. Each runs as
//! a process of its own until it is ended.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional_with_sizes},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::server::TlsStream;

use crate::tls;

/// Bytes that are read and written at a time, as the programs in the Keep do.
const BUFFER: usize = 64 << 10;

/// Ends TLS in front of the server at `to`.
///
/// # Errors
///
/// When it cannot listen.
pub fn proxy(to: SocketAddr) -> anyhow::Result<()> {
    serve(move |mut client| async move {
        let mut server = TcpStream::connect(to).await?;
        server.set_nodelay(true)?;
        copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
        Ok(())
    })
}

/// Sends back what comes over TLS.
///
/// # Errors
///
/// When it cannot listen.
pub fn echo() -> anyhow::Result<()> {
    serve(|mut client| async move {
        let mut buffer = vec![0; BUFFER];
        loop {
            let size = client.read(&mut buffer).await?;
            if size == 0 {
                client.shutdown().await?;
                return Ok(());
            }
            client.write_all(&buffer[..size]).await?;
            client.flush().await?;
        }
    })
}

/// Listens on a free port, says which, and serves everybody who comes.
fn serve<F>(
    each: impl Fn(TlsStream<TcpStream>) -> F + Copy + Send + Sync + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = std::io::Result<()>> + Send,
{
    let tls = tls::server()?;
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("listens on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let tls = tls.clone();
            tokio::spawn(async move {
                let served = async { each(tls.accept(stream).await?).await };
                if let Err(error) = served.await {
                    eprintln!("{error}");
                }
            });
        }
    })
}
