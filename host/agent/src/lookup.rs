//! Looking names up for Keeps.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use enarx_wire_hostcall::lookup::{MAX_ANSWER, Refusal, decode_request, encode_answer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// The system's resolver, which a service's Keeps share.
#[derive(Debug, Clone)]
pub(crate) struct Resolver(Arc<Semaphore>);

/// Names that the system looks up at a time, each on a thread: for all Keeps, and for one.
const NAMES: usize = 64;
const NAMES_OF_ONE: usize = 8;

/// How long an answer may take. A Keep waits a little longer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Resolver {
    /// One that looks nothing up yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(NAMES)))
    }
}

/// What one Keep asks for.
#[derive(Debug)]
pub(crate) struct Lookups {
    resolver: Resolver,
    /// Whether the Keep may use the network.
    permitted: bool,
    unanswered: Arc<Semaphore>,
    names: Arc<Semaphore>,
    answers: mpsc::UnboundedSender<Answer>,
}

/// Requests that may wait for their answers. An honest Keep never has so many, and one that
/// takes no answers costs no more memory than these.
const UNANSWERED: usize = 32;

/// An answer on its way to the Keep. Its request is unanswered for as long as this lives.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    _unanswered: OwnedSemaphorePermit,
}

impl Lookups {
    /// A Keep's lookups, and the queue of its answers.
    pub(crate) fn new(
        resolver: Resolver,
        permitted: bool,
    ) -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let lookups = Self {
            resolver,
            permitted,
            unanswered: Arc::new(Semaphore::new(UNANSWERED)),
            names: Arc::new(Semaphore::new(NAMES_OF_ONE)),
            answers,
        };
        (lookups, answered)
    }

    /// Answers a request as soon as the answer is known.
    ///
    /// # Errors
    ///
    /// What an honest Keep would not have asked, in words.
    pub(crate) fn begin(&self, request: &[u8]) -> Result<(), &'static str> {
        let (number, name) = decode_request(request).map_err(|_| "a lookup that is none")?;
        let Ok(unanswered) = Arc::clone(&self.unanswered).try_acquire_owned() else {
            return Err("more lookups than it takes answers for");
        };
        let found = self.permitted.then(|| {
            addresses(
                Arc::clone(&self.names),
                self.resolver.clone(),
                name.to_owned(),
            )
        });
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let found = match found {
                Some(found) => timeout(PATIENCE, found)
                    .await
                    .unwrap_or(Err(Refusal::Failed)),
                None => Err(Refusal::Denied),
            };
            let mut buffer = [0; MAX_ANSWER];
            let answer = encode_answer(
                number,
                found.as_deref().map_err(|error| *error),
                &mut buffer,
            );
            // A Keep that has ended needs no answer.
            let _ = answers.send(Answer {
                payload: Bytes::copy_from_slice(answer),
                _unanswered: unanswered,
            });
        });
        Ok(())
    }

    /// Whether the Keep waits for an answer.
    pub(crate) fn are_pending(&self) -> bool {
        self.unanswered.available_permits() < UNANSWERED
    }
}

async fn addresses(
    names: Arc<Semaphore>,
    resolver: Resolver,
    name: String,
) -> Result<Vec<IpAddr>, Refusal> {
    let own = names.acquire_owned().await;
    let shared = resolver.0.acquire_owned().await;
    let found = tokio::task::spawn_blocking(move || {
        // Nothing interrupts the system's resolver: its thread counts until it is done.
        let _places = (own, shared);
        let found = (name.as_str(), 0).to_socket_addrs()?;
        io::Result::Ok(found.map(|address| address.ip()).collect())
    });
    let mut addresses: Vec<IpAddr> = found
        .await
        .map_err(|_| Refusal::Failed)?
        .map_err(|_| Refusal::Unknown)?;
    addresses.dedup();
    if addresses.is_empty() {
        return Err(Refusal::Unknown);
    }
    Ok(addresses)
}
