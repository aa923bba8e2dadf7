//! The threads of the host that run a Keep's threads.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::io::Errno;

use super::{Services, Starter};

/// The status of a Keep's process whose Keep cannot or will not go on (`EX_SOFTWARE` of
/// sysexits.h). The diagnostics say why.
pub const STOPPED_STATUS: i32 = 70;

/// A Keep whose threads can be run.
pub(crate) trait Threaded: Send + Sync + 'static {
    /// What a thread of the host needs to run one of the Keep's.
    type Stay<'a>: Stay;

    /// Makes the calling thread ready to run the Keep's thread `index`.
    fn prepare(&self, index: u32) -> std::io::Result<Self::Stay<'_>>;

    /// The host's services to the Keep.
    fn services(&self) -> &Services;
}

/// A thread of the host that is ready to run one of the Keep's.
pub(crate) trait Stay {
    /// Runs and serves the thread until it ends.
    fn run(&self, starter: &dyn Starter) -> Departure;
}

/// How a thread came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It may be wanted again.
    ThreadEnded,
    /// The whole Keep has ended, with this status.
    Exit(i32),
}

/// A Keep with the threads that run it.
pub(crate) struct Threads<K>(Arc<Shared<K>>);

struct Shared<K> {
    keep: K,
    slots: Vec<Slot>,
    /// Ends the process; in tests, something else.
    exit: Box<dyn Fn(i32) + Send + Sync>,
}

/// What the host knows of one of the Keep's threads.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// No thread of the host belongs to it yet.
    #[default]
    New,
    /// It runs, and is to run so often again: the Keep knows before the host that it has ended, and asks for its
    /// second one to help before the runtime asks for it.
    Running { again: u32 },
    /// It has ended; its thread of the host waits.
    Ended,
}

/// How often a thread can be asked for that runs.
const MOST_AGAIN: u32 = 2;

/// Bytes of stack of a thread of the host: the Keep has its own.
const STACK: usize = 256 << 10;

impl<K: Threaded> Threads<K> {
    /// The `count` threads of `keep`; none runs yet.
    pub(crate) fn new(keep: K, count: u32, exit: impl Fn(i32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            keep,
            slots: (0..count).map(|_| Slot::default()).collect(),
            exit: Box::new(exit),
        }))
    }

    /// Runs the Keep's first thread in the calling one, which then stays its. Returns when
    /// the Keep has ended and `exit` did not end the process, which `exit` was told.
    pub(crate) fn run_first(&self) {
        let slot = &self.0.slots[0];
        slot.set(State::Running { again: 0 });
        self.run(0);
    }

    /// Runs thread `index` each time that it is wanted.
    fn run(&self, index: u32) {
        let shared = &*self.0;
        let stay = match shared.keep.prepare(index) {
            Ok(stay) => stay,
            Err(error) => {
                shared.stop(&format!("thread {index} could not be prepared: {error}"));
                return;
            }
        };
        let slot = &shared.slots[index as usize];
        loop {
            match stay.run(self) {
                Departure::ThreadEnded => {}
                Departure::Exit(status) => {
                    (shared.exit)(status);
                    return;
                }
            }
            if slot.end() {
                continue;
            }
            if shared.slots.iter().all(Slot::is_idle) {
                // As for a Linux process whose last thread ends.
                (shared.exit)(0);
                return;
            }
            slot.wait_until_wanted();
        }
    }
}

impl<K> Clone for Threads<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Threaded> Starter for Threads<K> {
    fn start(&self, thread: u32) -> Result<(), Errno> {
        let slot = self.0.slots.get(thread as usize).ok_or(Errno::SRCH)?;
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::New => {
                let threads = self.clone();
                std::thread::Builder::new()
                    .name(format!("keep-{thread}"))
                    .stack_size(STACK)
                    .spawn(move || threads.run(thread))
                    .map_err(|_| Errno::AGAIN)?;
                *state = State::Running { again: 0 };
            }
            State::Ended => {
                *state = State::Running { again: 0 };
                slot.changed.notify_one();
            }
            State::Running { again } if again < MOST_AGAIN => {
                *state = State::Running { again: again + 1 };
            }
            State::Running { .. } => return Err(Errno::BUSY),
        }
        Ok(())
    }
}

impl Slot {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Notes that the thread has ended. Whether it is to run again at once.
    fn end(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Running { again } = *state else {
            return false;
        };
        *state = match again.checked_sub(1) {
            Some(again) => State::Running { again },
            None => State::Ended,
        };
        *state != State::Ended
    }

    fn is_idle(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::New | State::Ended)
    }

    fn wait_until_wanted(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.changed
                .wait_while(state, |state| *state == State::Ended),
        );
    }
}

impl<K: Threaded> Shared<K> {
    /// Ends a Keep that cannot go on.
    fn stop(&self, reason: &str) {
        self.keep
            .services()
            .diagnose(&format!("the Keep was stopped: {reason}\n"));
        (self.exit)(STOPPED_STATUS);
    }
}
