//! A socket of the program's that listens.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};

use super::{
    connection::{Connection, Stream},
    socket,
};
use crate::tls::Tls;

/// A listening socket. Connections are accepted, and their handshakes made, while the
/// program waits for something; it gets those that are ready.
pub struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<Accepted>,
    /// One that was taken only to see whether there is any.
    next: Option<Accepted>,
    blocking: bool,
}

/// A connection that nobody has taken yet; it counts against [`WAITING`].
struct Accepted {
    stream: Box<dyn Stream>,
    _place: OwnedSemaphorePermit,
}

/// Connections that wait for their handshake or for the program. More wait outside of
/// the Keep, in the host's kernel.
const WAITING: usize = 256;

/// How long accepting rests after an error, which is most likely a lack of descriptors.
const REST: Duration = Duration::from_millis(50);

impl Listener {
    /// Listens on `address`, for connections that `tls` protects if there is one.
    ///
    /// # Errors
    ///
    /// The system's: the port is in use, or may not be used, or there is no network.
    pub fn bind(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let listener = socket::listen(address)?;
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(WAITING);
        tokio::spawn(accept(listener, tls, sender));
        Ok(Self {
            address,
            ready,
            next: None,
            blocking: true,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether operations wait.
    pub const fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// Has operations wait, or not.
    pub const fn set_blocking(&mut self, blocking: bool) {
        self.blocking = blocking;
    }

    /// The next connection, whose own operations wait if it is `blocking`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ConnectionAborted`] when there will be none.
    pub fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
        blocking: bool,
    ) -> Poll<io::Result<Connection>> {
        ready!(self.poll_acceptable(context));
        let accepted = (self.next.take()).ok_or(io::ErrorKind::ConnectionAborted)?;
        Poll::Ready(Ok(Connection::new(accepted.stream, blocking)))
    }

    /// Ready when accepting would not wait.
    pub fn poll_acceptable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = ready!(self.ready.poll_recv(context));
        }
        Poll::Ready(())
    }
}

/// Accepts until the program no longer listens.
async fn accept(listener: TcpListener, tls: Option<Tls>, ready: mpsc::Sender<Accepted>) {
    let places = Arc::new(Semaphore::new(WAITING));
    // Those whose handshakes are under way; they end with this.
    let mut handshakes = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = next(&listener, &places) => next,
            () = ready.closed() => return,
        };
        while handshakes.try_join_next().is_some() {}
        let Some((stream, place)) = next else {
            continue;
        };
        let ready = ready.clone();
        match tls.clone() {
            None => hand_over(Box::new(stream), place, &ready),
            Some(tls) => {
                handshakes.spawn(async move {
                    // Whatever a client does wrong costs its own connection.
                    if let Ok(stream) = tls.accept(stream).await {
                        hand_over(stream, place, &ready);
                    }
                });
            }
        }
    }
}

/// The next connection, and its place among those that wait.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Without it, answers are late, and nothing else.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(_) => {
            sleep(REST).await;
            None
        }
    }
}

fn hand_over(stream: Box<dyn Stream>, place: OwnedSemaphorePermit, ready: &mpsc::Sender<Accepted>) {
    // The channel has room for as many as there are places; a program that no longer listens
    // takes none.
    let _ = ready.try_send(Accepted {
        stream,
        _place: place,
    });
}
