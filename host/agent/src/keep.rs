//! One Keep as the service knows it, shared by its driver and its callers.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use enarx_wire_host_api::{Endorsement, KeepEnd, KeepId, KeepInfo, KeepState, StartRequest};
use enarx_wire_hostcall::envelope::Kind;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, ServiceError,
    life::{End, Life, Step},
    output::Output,
};

/// One Keep.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) id: KeepId,
    /// Counts the Keeps of this service, for listings in order.
    pub(crate) number: u64,
    pub(crate) request: StartRequest,
    pub(crate) endorsements: Vec<Endorsement>,
    pub(crate) started: SystemTime,
    pub(crate) output: Arc<Output>,
    pub(crate) offer: OnceLock<Bytes>,
    pub(crate) counts: Counts,
    /// Set when the service forgets an ended Keep before its time.
    pub(crate) forgotten: CancellationToken,
    life: watch::Sender<Life>,
    ending: watch::Sender<Option<KeepEnd>>,
    queue: mpsc::Sender<Outgoing>,
    clock: Instant,
    progress: AtomicU64,
}

/// What was relayed to a Keep.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) package_bytes: AtomicU64,
    pub(crate) input_frames: AtomicU64,
    pub(crate) input_bytes: AtomicU64,
}

/// An envelope on its way to the Keep.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) kind: Kind,
    pub(crate) payload: Bytes,
    /// Answered when the envelope is written; dropped when it never will be.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

/// How many envelopes wait for a Keep that reads slowly.
const QUEUE: usize = 2;

impl Keep {
    /// A Keep that was just started, and the queue of what it is sent.
    pub(crate) fn new(
        id: KeepId,
        number: u64,
        request: StartRequest,
        endorsements: Vec<Endorsement>,
        limits: &Limits,
    ) -> (Arc<Self>, mpsc::Receiver<Outgoing>) {
        let (queue, outgoing) = mpsc::channel(QUEUE);
        let keep = Self {
            id,
            number,
            request,
            endorsements,
            started: SystemTime::now(),
            output: Arc::new(Output::new(limits.output_bytes, limits.reader_time)),
            offer: OnceLock::new(),
            counts: Counts::default(),
            forgotten: CancellationToken::new(),
            life: watch::Sender::new(Life::Started),
            ending: watch::Sender::new(None),
            queue,
            clock: Instant::now(),
            progress: AtomicU64::new(0),
        };
        (Arc::new(keep), outgoing)
    }

    /// What callers are told.
    pub(crate) fn info(&self) -> KeepInfo {
        let life = self.life.borrow().clone();
        let end = life.end();
        let figures = self.output.figures();
        let timestamp = |time| humantime::format_rfc3339_millis(time).to_string();
        KeepInfo {
            id: self.id,
            name: self.request.name.clone(),
            backend: self.request.backend.clone(),
            simulated: self.request.simulate,
            state: life.state(),
            started_at: timestamp(self.started),
            ended_at: end.map(|end| timestamp(end.at)),
            end: end.map(|end| end.how.clone()),
            memory_bytes: self.request.memory_bytes,
            package_bytes: self.counts.package_bytes.load(Relaxed),
            input_frames: self.counts.input_frames.load(Relaxed),
            input_bytes: self.counts.input_bytes.load(Relaxed),
            output_frames: figures.frames,
            output_bytes: figures.bytes,
            output_first_frame: figures.first,
        }
    }

    /// The state.
    pub(crate) fn state(&self) -> KeepState {
        self.life.borrow().state()
    }

    /// Follows the Keep's life.
    pub(crate) fn watch_life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Takes `step` if it is due.
    ///
    /// # Errors
    ///
    /// The life that the Keep has instead.
    pub(crate) fn take(&self, step: Step) -> Result<(), Life> {
        let mut refused = None;
        self.life.send_if_modified(|life| match life.after(step) {
            Some(next) => {
                self.touch();
                *life = next;
                true
            }
            None => {
                refused = Some(life.clone());
                false
            }
        });
        refused.map_or(Ok(()), Err)
    }

    /// Like [`Self::take`], for a caller that needs the state `needed` for it.
    pub(crate) fn claim(&self, step: Step, needed: KeepState) -> Result<(), ServiceError> {
        self.take(step).map_err(|life| refusal(&life, needed))
    }

    /// Refuses unless the Keep is in the state `needed`.
    pub(crate) fn require(&self, needed: KeepState) -> Result<(), ServiceError> {
        let life = self.life.borrow();
        if life.state() == needed {
            Ok(())
        } else {
            Err(refusal(&life, needed))
        }
    }

    /// Waits until the Keep is in `state` or past it.
    ///
    /// # Errors
    ///
    /// [`ServiceError::KeepFailed`] when it ends before.
    pub(crate) async fn reach(&self, state: KeepState) -> Result<(), ServiceError> {
        let mut life = self.watch_life();
        // The sender lives in `self`, so waiting ends with a value.
        let Ok(life) = life.wait_for(|life| life.state() >= state).await else {
            return Ok(());
        };
        match life.end() {
            Some(end) => Err(ServiceError::KeepFailed(end.how.clone().into())),
            None => Ok(()),
        }
    }

    /// Waits until the Keep has ended, and says how.
    pub(crate) async fn ended(&self) -> Arc<End> {
        let mut life = self.watch_life();
        loop {
            if let Some(end) = life.borrow_and_update().end() {
                return end.clone();
            }
            // The sender lives in `self`, so there is no error.
            drop(life.changed().await);
        }
    }

    /// Asks the driver to end the Keep. The first who asks says why.
    pub(crate) fn request_end(&self, how: KeepEnd) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(how);
            first
        });
    }

    /// Waits until somebody asks to end the Keep.
    pub(crate) async fn end_requested(&self) -> KeepEnd {
        let mut ending = self.ending.subscribe();
        loop {
            if let Some(how) = ending.borrow_and_update().clone() {
                return how;
            }
            // The sender lives in `self`, so there is no error.
            drop(ending.changed().await);
        }
    }

    /// Notes the end. Only the driver calls it, once.
    pub(crate) fn set_ended(&self, how: KeepEnd) {
        self.output.close();
        let at = SystemTime::now();
        self.life
            .send_replace(Life::Ended(Arc::new(End { how, at })));
    }

    /// A place in the queue to the Keep.
    ///
    /// # Errors
    ///
    /// The Keep's end, when it no longer takes anything.
    pub(crate) async fn place(&self) -> Result<mpsc::Permit<'_, Outgoing>, ServiceError> {
        match self.queue.reserve().await {
            Ok(place) => Ok(place),
            Err(_) => Err(ServiceError::KeepFailed(
                self.ended().await.how.clone().into(),
            )),
        }
    }

    /// Says that the owner or the Keep goes on, so the Keep is not idle.
    pub(crate) fn touch(&self) {
        let now = self.clock.elapsed().as_millis();
        self.progress
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }

    /// When the Keep was last not idle.
    pub(crate) fn touched(&self) -> Instant {
        self.clock + Duration::from_millis(self.progress.load(Relaxed))
    }
}

fn refusal(life: &Life, needed: KeepState) -> ServiceError {
    match life.end() {
        Some(end) => ServiceError::KeepEnded(end.how.clone().into()),
        None => ServiceError::WrongState {
            state: life.state(),
            needed,
        },
    }
}
