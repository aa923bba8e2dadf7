//! Accepts connections, with limits, until the service is to end.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    routes::{RouterOptions, router},
    timed::Timed,
    tls::TlsIdentity,
};
use crate::Service;

/// How the service is offered to others.
#[derive(Clone)]
pub struct ServeOptions {
    /// Who may use the service.
    pub access: Access,
    /// Certificate and key, to speak TLS.
    pub tls: Option<TlsIdentity>,
    /// Connections that may be open at the same time; more are closed at once.
    pub connections: usize,
    /// How long a TLS handshake, a request's head, or the wait for the next request
    /// on a connection may take.
    pub head_time: Duration,
    /// How long a small body may take, and how long a streamed one may rest where
    /// it must go on.
    pub body_time: Duration,
    /// How long a client may leave an answer untaken.
    pub write_time: Duration,
    /// How long the graceful end may take.
    pub shutdown_time: Duration,
}

impl ServeOptions {
    /// The usual limits: 512 connections, 30 seconds for each wait, 10 for the end.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let wait = Duration::from_secs(30);
        Self {
            access,
            tls: None,
            connections: 512,
            head_time: wait,
            body_time: wait,
            write_time: wait,
            shutdown_time: Duration::from_secs(10),
        }
    }
}

/// The largest head of a request in bytes.
const MAX_HEAD: usize = 32 << 10;

/// What a connection may buffer in each direction, in bytes.
const MAX_BUFFER: usize = 256 << 10;

/// How long a closed connection is still read, so that a client that is sending
/// gets to read why it was refused.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The pause after a connection could not be accepted, for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves. Then it accepts nothing more, ends every Keep, lets
/// open requests finish, and returns after [`ServeOptions::shutdown_time`] at the
/// latest.
///
/// # Errors
///
/// When the listener's address cannot be read.
pub async fn serve(
    service: Service,
    listener: TcpListener,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let tls = options.tls.is_some();
    tracing::info!(%address, tls, "serving");
    let router_options = RouterOptions {
        access: options.access.clone(),
        body_time: options.body_time,
    };
    let server = Arc::new(Server {
        router: router(service.clone(), router_options),
        acceptor: options.tls.as_ref().map(TlsIdentity::acceptor),
        service: service.clone(),
        stopping: CancellationToken::new(),
        open: AtomicUsize::new(0),
        options,
    });

    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            // Finished connections are forgotten as they come.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Some(open) = Open::new(&server) {
                    connections.spawn(serve_connection(open, stream));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    tracing::info!("shutting down");
    drop(listener);
    server.stopping.cancel();
    let time = server.options.shutdown_time;
    let finish = async {
        service.shutdown(time).await;
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(time, finish).await.is_err() {
        tracing::warn!(open = connections.len(), "connections are cut off");
    }
    connections.shutdown().await;
    Ok(())
}

/// Resolves when the process is told to end, by SIGTERM or SIGINT.
///
/// # Errors
///
/// When the signals cannot be awaited.
pub fn termination() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

struct Server {
    router: Router,
    acceptor: Option<TlsAcceptor>,
    service: Service,
    stopping: CancellationToken,
    open: AtomicUsize,
    options: ServeOptions,
}

/// One open connection, counted for as long as this lives.
struct Open {
    server: Arc<Server>,
}

impl Open {
    /// Counts a new connection, or refuses it when there are too many.
    fn new(server: &Arc<Server>) -> Option<Self> {
        let figures = server.service.figures();
        if server.open.fetch_add(1, Relaxed) >= server.options.connections {
            server.open.fetch_sub(1, Relaxed);
            figures.connections_refused.inc();
            return None;
        }
        figures.connections.inc();
        Some(Self {
            server: server.clone(),
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.server.open.fetch_sub(1, Relaxed);
        self.server.service.figures().connections.dec();
    }
}

async fn serve_connection(open: Open, stream: TcpStream) {
    let server = &open.server;
    // Small frames must not wait for more to come.
    drop(stream.set_nodelay(true));
    // A follower of a silent Keep notices by this alone that its peer is gone.
    let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
    let stream = Timed::new(stream, server.options.write_time);
    let Some(acceptor) = &server.acceptor else {
        return serve_requests(server, stream).await;
    };
    let handshake = acceptor.accept(stream);
    match tokio::time::timeout(server.options.head_time, handshake).await {
        Ok(Ok(stream)) => serve_requests(server, stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

async fn serve_requests<S>(server: &Server, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.options.head_time)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(
            TokioIo::new(stream),
            TowerToHyperService::new(server.router.clone()),
        );
    let served = {
        let mut stopping = pin!(server.stopping.cancelled());
        let mut stopped = false;
        poll_fn(|context| {
            if !stopped && stopping.as_mut().poll(context).is_ready() {
                stopped = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            connection.poll_without_shutdown(context)
        })
        .await
    };
    match served {
        Ok(()) => linger(connection.into_parts().io.into_inner()).await,
        Err(error) => tracing::debug!(%error, "connection failed"),
    }
}

/// Ends the sending side and reads on for a moment: closing a socket with unread
/// bytes would reset it, and the client might lose the answer.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let discard = async {
        stream.shutdown().await?;
        let mut bytes = vec![0; 16 << 10];
        while stream.read(&mut bytes).await? > 0 {}
        io::Result::Ok(())
    };
    drop(tokio::time::timeout(LINGER_TIME, discard).await);
}
