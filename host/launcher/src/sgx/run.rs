//! The loop that enters an enclave, serves it, and enters it again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use enarx_wire_hostcall::call::Leave;
use enarx_wire_launch::sgx::layout;
use rustix::io::Errno;

use super::block_memory::BlockMemory;
use super::enclave::{EENTER, EEXIT, ERESUME, Run};
use super::enter::{Left, enter};
use super::service::{Served, Services, Starter};

/// The status of a Keep's process whose enclave cannot or will not go on (`EX_SOFTWARE` of
/// sysexits.h). The diagnostics say why.
pub const STOPPED_STATUS: i32 = 70;

/// A Keep's enclave with the threads that run it.
#[derive(Clone)]
pub(super) struct Threads(Arc<Shared>);

struct Shared {
    services: Services,
    slots: Vec<Slot>,
    /// Ends the process; in tests, something else.
    exit: Box<dyn Fn(i32) + Send + Sync>,
}

/// What the host knows of one of the enclave's threads.
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
    /// It runs.
    Running,
    /// It runs, but has ended as far as the Keep knows, which wants it to run again.
    Wanted,
    /// It has ended; its thread of the host waits.
    Ended,
}

/// How a stay in the enclave came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Departure {
    ThreadEnded,
    Exit(i32),
}

/// Exceptions that the processor tells the handler in an enclave about (SDM, "EXITINFO"). Of
/// others it would learn nothing, and run into them again.
const HANDLED: [u16; 10] = [0, 1, 3, 5, 6, 13, 14, 16, 17, 19];

/// Bytes of stack of a thread of the host: the enclave has its own.
const STACK: usize = 256 << 10;

impl Threads {
    /// Threads of the enclave that `services` is for; none runs yet.
    pub(super) fn new(
        services: Services,
        count: u32,
        exit: impl Fn(i32) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            services,
            slots: (0..count).map(|_| Slot::default()).collect(),
            exit: Box::new(exit),
        }))
    }

    /// Runs the enclave's first thread in the calling one, which then stays its. Returns when
    /// the Keep has ended and `exit` did not end the process, which `exit` was told.
    pub(super) fn run_first(&self) {
        let slot = &self.0.slots[0];
        slot.set(State::Running);
        self.run(0);
    }

    /// Runs thread `index` each time that it is wanted.
    fn run(&self, index: u32) {
        let shared = &*self.0;
        let stay = match Stay::new(shared, index) {
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

impl Starter for Threads {
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
                *state = State::Running;
            }
            State::Ended => {
                *state = State::Running;
                slot.changed.notify_one();
            }
            // The Keep's word that the thread has ended came here before the thread.
            State::Running => *state = State::Wanted,
            State::Wanted => return Err(Errno::BUSY),
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
        let again = *state == State::Wanted;
        *state = if again { State::Running } else { State::Ended };
        again
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

impl Shared {
    /// Ends a Keep that cannot go on.
    fn stop(&self, reason: &str) {
        self.services
            .diagnose(&format!("the Keep was stopped: {reason}\n"));
        (self.exit)(STOPPED_STATUS);
    }
}

/// What one thread needs to be in the enclave.
struct Stay<'a> {
    shared: &'a Shared,
    index: u32,
    tcs: u64,
    block: BlockMemory,
    _attached: Box<dyn std::any::Any>,
}

impl<'a> Stay<'a> {
    fn new(shared: &'a Shared, index: u32) -> std::io::Result<Self> {
        let enclave = shared.services.enclave();
        Ok(Self {
            shared,
            index,
            tcs: enclave.base() + layout::thread_window(index) + layout::thread::TCS,
            block: BlockMemory::new()?,
            _attached: enclave.attach_thread()?,
        })
    }

    /// Enters, and serves the thread until it ends.
    fn run(&self, threads: &Threads) -> Departure {
        let services = &self.shared.services;
        let enclave = services.enclave();
        let function = enclave.enter_function();
        let block = self.block.service();
        let mut run = Run::new(self.tcs);
        let mut payload = Vec::new();
        let mut leaf = EENTER;
        loop {
            let mut left = Left::default();
            // SAFETY: the function is the enclave's own, and the address is that of a thread
            // control structure that was added to it.
            let status =
                unsafe { enter(function, leaf, self.block.address(), &mut run, &mut left) };
            if status != 0 {
                let error = std::io::Error::from_raw_os_error(-status);
                return self.stopped(&format!("the enclave could not be entered: {error}"));
            }
            if run.function != EEXIT {
                if let Some(reason) = unhandled(&run, enclave.base()) {
                    return self.stopped(&reason);
                }
                // The handler in the enclave has a look.
                leaf = EENTER;
                continue;
            }
            leaf = match Leave::from_code(left.rdi) {
                Some(Leave::Call) => EENTER,
                Some(Leave::Resume) => ERESUME,
                Some(Leave::ThreadEnded) => return Departure::ThreadEnded,
                Some(Leave::Abort) => {
                    return self.stopped(&format!("it refuses to go on (reason {})", left.rsi));
                }
                None => return self.stopped(&format!("it was left with code {}", left.rdi)),
            };
            if leaf == ERESUME {
                continue;
            }
            let request = match block.request() {
                Ok(request) => request,
                Err(error) => return self.stopped(&error.to_string()),
            };
            payload.clear();
            payload.resize(request.length, 0);
            block.payload(&mut payload);
            match services.serve(self.index, &request, &mut payload, threads) {
                Served::Answer(result) => block.answer(&request, result, &payload),
                Served::Exit(status) => return Departure::Exit(status),
            }
        }
    }

    fn stopped(&self, reason: &str) -> Departure {
        let text = format!("the Keep was stopped in thread {}: {reason}\n", self.index);
        self.shared.services.diagnose(&text);
        Departure::Exit(STOPPED_STATUS)
    }
}

/// Why the handler in the enclave cannot see to the exception in `run`, if it cannot.
fn unhandled(run: &Run, base: u64) -> Option<String> {
    let entering = run.function == EENTER;
    if !entering && HANDLED.contains(&run.exception_vector) {
        return None;
    }
    let what = if entering {
        "the enclave refused to be entered"
    } else {
        "an exception that its handler cannot see"
    };
    let at = match run.exception_address.checked_sub(base) {
        Some(offset) if offset < layout::ENCLAVE_SIZE => format!("offset {offset:#x}"),
        _ => format!("address {:#x}", run.exception_address),
    };
    Some(format!(
        "{what}: vector {}, error code {:#x}, {at}",
        run.exception_vector, run.exception_error_code
    ))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
