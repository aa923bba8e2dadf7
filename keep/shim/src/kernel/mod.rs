//! System calls and faults of the runtime.
//!
//! A shim hands over each `syscall` instruction and each exception, and goes on with the
//! registers that are left. Locks are taken in the order in which [`Kernel`] has them, and
//! none is held while the host is asked to wait.

mod calls;
mod identity;
mod memory;
mod socket;
mod stream;
mod threads;
mod time;
mod wait;

use core::sync::atomic::AtomicU64;

use enarx_wire_hostcall::call::Operation;
use enarx_wire_launch::PAGE_SIZE;
use linux_raw_sys::general;
use spin::Mutex;

use crate::{
    attestation::AttestationDevice,
    clock::Clock,
    file::{Files, Limits},
    futex::Waiters,
    memory::{Access, AddressSpace, Fault},
    platform::{Platform, Stop},
    registers::{ExtendedState, Registers},
    signal::{self, Actions, Exception, Signal, vector},
    thread::Threads,
};

/// What stands in for Linux beneath one runtime.
pub struct Kernel<P> {
    platform: P,
    actions: Mutex<Actions>,
    threads: Mutex<Threads>,
    waiters: Mutex<Waiters>,
    device: Mutex<AttestationDevice>,
    files: Mutex<Files>,
    space: Mutex<AddressSpace>,
    clock: Clock,
    memory_bytes: u64,
    unknown_calls: AtomicU64,
}

/// What a kernel begins with.
pub struct Beginning {
    /// The runtime's address space, with the runtime's own pages.
    pub space: AddressSpace,
    /// Threads that there can be.
    pub threads: u32,
    /// Memory of the Keep in bytes.
    pub memory_bytes: u64,
    /// What the Keep was launched as.
    pub launch_page: &'static [u8; PAGE_SIZE],
}

/// What a thread does after a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Continue,
    /// It is no more, and must not use its stack again.
    End,
}

impl<P: Platform> Kernel<P> {
    /// A kernel whose first thread is about to begin.
    pub fn new(platform: P, beginning: Beginning) -> Self {
        Self {
            actions: Mutex::new(Actions::new()),
            threads: Mutex::new(Threads::new(beginning.threads)),
            waiters: Mutex::default(),
            device: Mutex::new(AttestationDevice::new(beginning.launch_page)),
            files: Mutex::new(Files::new(Limits {
                open_files: OPEN_FILES,
                bytes: beginning.memory_bytes,
                heap_has_room: P::HEAP_HAS_ROOM,
            })),
            space: Mutex::new(beginning.space),
            clock: Clock::default(),
            platform,
            memory_bytes: beginning.memory_bytes,
            unknown_calls: AtomicU64::new(0),
        }
    }

    /// The TEE beneath.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// What a new thread begins with; `None` if the runtime has not asked for it.
    pub fn begin_thread(&self) -> Option<Registers> {
        let registers = self.threads.lock().begin(self.platform.thread())?;
        let room = registers.rsp.wrapping_sub(RETURN_ROOM);
        let mut space = self.space.lock();
        let prepared = space.prepare(&self.platform, room, RETURN_ROOM, Access::READ_WRITE);
        drop(space);
        if prepared.is_err() {
            self.exit(SIGNALED + u64::from(general::SIGSEGV));
        }
        Some(registers)
    }

    /// Serves the system call in `registers`, which are those behind the instruction.
    pub fn system_call(&self, registers: &mut Registers, extended: &mut ExtendedState) -> Next {
        calls::serve(self, registers, extended)
    }

    /// Resolves an exception, or lets the program handle it.
    pub fn exception(
        &self,
        exception: Exception,
        registers: &mut Registers,
        extended: &mut ExtendedState,
    ) {
        let mut mapped = false;
        if exception.vector == vector::PAGE_FAULT {
            let wanted = wanted_access(exception.code);
            let mut space = self.space.lock();
            match space.fault(&self.platform, exception.address, wanted) {
                Fault::Resolved => return,
                Fault::Unmapped => {}
                Fault::Denied => mapped = true,
            }
        }
        let signal = Signal::of(exception, registers.rip, mapped);
        self.deliver(&signal, registers, extended);
    }

    /// Lets the program handle a signal; one that it does not handle ends the Keep.
    fn deliver(&self, signal: &Signal, registers: &mut Registers, extended: &mut ExtendedState) {
        let action = self.actions.lock().get(signal.number);
        let mut threads = self.threads.lock();
        let state = &mut threads.running(self.platform.thread()).signals;
        let blocked = state.mask & 1 << (signal.number - 1) != 0;
        let pushed = action.is_handled()
            && !blocked
            && signal::push(self, signal, &action, state, registers, extended).is_ok();
        drop(threads);
        if !pushed {
            self.exit(SIGNALED + u64::from(signal.number));
        }
    }

    /// Ends the Keep.
    fn exit(&self, status: u64) -> ! {
        // There is no answer to this.
        self.platform.ask(Operation::Exit, [status, 0, 0, 0]);
        self.platform.stop(Stop::AnswerSequence)
    }
}

/// Bytes below a thread's first stack pointer that a shim may write when it begins the thread.
pub const RETURN_ROOM: u64 = 16;

/// Open files that there can be: as many as the `process` backend permits.
const OPEN_FILES: u32 = 2000;

/// Added to a signal's number in the status of what it ended, as shells do.
const SIGNALED: u64 = 128;

/// What access a page fault's error code speaks of (Intel SDM volume 3A, 4.7).
fn wanted_access(code: u32) -> Access {
    const WRITE: u32 = 1 << 1;
    const FETCH: u32 = 1 << 4;
    if code & FETCH != 0 {
        Access::EXECUTE
    } else if code & WRITE != 0 {
        Access::WRITE
    } else {
        Access::READ
    }
}

#[cfg(test)]
mod tests;
