//! A socket of the program's that listens.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
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
    ready: mpsc::Receiver<Box<dyn Stream>>,
    /// One that was taken only to see whether there is any.
    next: Option<Box<dyn Stream>>,
    blocking: bool,
}

/// Connections that wait for the program. More wait outside of the Keep, in the host's kernel.
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
        let stream = (self.next.take()).ok_or(io::ErrorKind::ConnectionAborted)?;
        Poll::Ready(Ok(Connection::new(stream, blocking)))
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
async fn accept(listener: TcpListener, tls: Option<Tls>, ready: mpsc::Sender<Box<dyn Stream>>) {
    let mut handshakes = Handshakes::default();
    // Nobody is let in for whom the program has no place.
    while let Ok(place) = ready.reserve().await {
        let accepted = tokio::select! {
            biased;
            () = ready.closed() => return,
            Some(stream) = handshakes.next() => {
                place.send(stream);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(REST).await;
            continue;
        };
        // Without it, answers are late, and nothing else.
        let _ = stream.set_nodelay(true);
        match tls.clone() {
            None => place.send(Box::new(stream)),
            Some(tls) => handshakes.begin(async move { Ok(tls.accept(stream).await?.stream) }),
        }
    }
}

/// Handshakes that are under way. They end with this.
#[derive(Default)]
struct Handshakes {
    all: JoinSet<io::Result<Box<dyn Stream>>>,
    /// In the order in which they began; some are done.
    order: VecDeque<AbortHandle>,
}

/// Handshakes at a time. Who is slowest has to go when there are more: clients that say nothing
/// must not keep the others out.
const HANDSHAKES: usize = 256;

impl Handshakes {
    fn begin(
        &mut self,
        handshake: impl Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
    ) {
        if self.order.len() >= HANDSHAKES {
            self.order.retain(|handshake| !handshake.is_finished());
        }
        if self.order.len() >= HANDSHAKES
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.all.spawn(handshake));
    }

    /// The next one that succeeds. Whatever a client does wrong costs its own connection.
    async fn next(&mut self) -> Option<Box<dyn Stream>> {
        loop {
            if let Ok(Ok(stream)) = self.all.join_next().await? {
                return Some(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_slowest_makes_room() {
        let mut handshakes = Handshakes::default();
        let mut clients = Vec::new();
        for _ in 0..=HANDSHAKES {
            let (handshake, client) = oneshot::channel::<()>();
            clients.push(client);
            handshakes.begin(async move {
                let _handshake = handshake;
                pending().await
            });
        }
        // One that is done is not the slowest, however long ago it began.
        let (stream, _peer) = tokio::io::duplex(1);
        handshakes.begin(async { Ok(Box::new(stream) as Box<dyn Stream>) });
        assert!(handshakes.next().await.is_some());
        handshakes.begin(pending());
        let mut dropped = 0;
        for (number, mut client) in clients.into_iter().enumerate() {
            let is_dropped = number < 2;
            if is_dropped {
                assert!((&mut client).await.is_err());
                dropped += 1;
            } else {
                let open = Err(oneshot::error::TryRecvError::Empty);
                assert_eq!(client.try_recv(), open, "{number}");
            }
        }
        assert_eq!(dropped, 2);
    }
}
