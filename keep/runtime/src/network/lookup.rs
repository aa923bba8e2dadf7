//! Names of hosts.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use enarx_wire_hostcall::lookup::{
    LookupError, MAX_REQUEST, Refusal, decode_answer, encode_request,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use crate::{
    session::{LostSession, Session},
    stdin::StdinPipe,
};

/// Asks the host for the addresses of names. It may lie, as everybody on the way to a
/// name server may: what counts is who answers at an address.
#[derive(Clone)]
pub struct Lookup(Arc<Shared>);

struct Shared {
    session: Arc<Session>,
    stdin: StdinPipe,
    pending: Mutex<Pending>,
    places: Semaphore,
}

#[derive(Default)]
struct Pending {
    last: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
}

type Answer = Result<Vec<IpAddr>, Refusal>;

/// Names that are looked up at a time; further ones wait.
const AT_ONCE: usize = 16;

/// How long the host has for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Lookup {
    /// Lookups through the host of `session`. Their answers come behind what is put into
    /// `stdin`.
    pub fn new(session: Arc<Session>, stdin: StdinPipe) -> Self {
        Self(Arc::new(Shared {
            session,
            stdin,
            pending: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }))
    }

    /// The addresses of `name`, at least one.
    ///
    /// # Errors
    ///
    /// [`NameError`] when there are none.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        // Nobody closes the semaphore.
        let _place = self.0.places.acquire().await.ok();
        let (number, answer) = self.begin();
        let _hurry = self.0.stdin.hurry();
        let mut buffer = [0; MAX_REQUEST];
        let sent = match encode_request(number, name, &mut buffer) {
            Some(request) => self.0.session.look_up(request).map_err(NameError::from),
            None => Err(NameError::Length),
        };
        let answer = match sent {
            Ok(()) => timeout(PATIENCE, answer).await,
            Err(error) => {
                self.pending().waiting.remove(&number);
                return Err(error);
            }
        };
        self.pending().waiting.remove(&number);
        match answer {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) | Err(_) => Err(NameError::Late),
        }
    }

    /// Takes an answer of the host's. One that nobody waits for any more is passed over.
    ///
    /// # Errors
    ///
    /// [`LookupError`] for bytes that are no answer.
    pub fn answered(&self, bytes: &[u8]) -> Result<(), LookupError> {
        let (number, answer) = decode_answer(bytes)?;
        if let Some(waiting) = self.pending().waiting.remove(&number) {
            // Who asked may have gone.
            let _ = waiting.send(answer.map(Iterator::collect));
        }
        Ok(())
    }

    fn begin(&self) -> (u32, oneshot::Receiver<Answer>) {
        let mut pending = self.pending();
        pending.last = pending.last.wrapping_add(1);
        let number = pending.last;
        let (sender, receiver) = oneshot::channel();
        pending.waiting.insert(number, sender);
        (number, receiver)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The host says so.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The host said nothing for too long.
    #[error("the host did not look it up in time")]
    Late,
    /// It is not as long as names are.
    #[error("it has no length that a name has")]
    Length,
    /// The host is gone.
    #[error(transparent)]
    Lost(#[from] LostSession),
}

impl NameError {
    /// Whether another attempt may succeed.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Late | Self::Lost(_) | Self::Refused(Refusal::Failed)
        )
    }
}
