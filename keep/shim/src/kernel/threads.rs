//! The calls of threads.

use core::sync::atomic::{AtomicU32, Ordering};

use enarx_wire_hostcall::call::Operation;
use linux_raw_sys::general;

use super::{Kernel, identity::canonical};
use crate::{
    Error, UserMemory,
    memory::Access,
    platform::{Platform, Stop},
    registers::Registers,
    signal::SignalState,
    thread::thread_id,
};

/// What the C library passes to `clone` for a thread. Nothing else can be made.
const NEW_THREAD: u32 = general::CLONE_VM
    | general::CLONE_FS
    | general::CLONE_FILES
    | general::CLONE_SIGHAND
    | general::CLONE_THREAD
    | general::CLONE_SYSVSEM
    | general::CLONE_SETTLS
    | general::CLONE_PARENT_SETTID
    | general::CLONE_CHILD_CLEARTID;

impl<P: Platform> Kernel<P> {
    pub(super) fn thread_id(&self) -> u64 {
        thread_id(self.platform.thread()).into()
    }

    pub(super) fn set_tid_address(&self, address: u64) -> u64 {
        let mut threads = self.threads.lock();
        threads.running(self.platform.thread()).clear_at_end = address;
        self.thread_id()
    }

    pub(super) fn with_signals<T>(&self, act: impl FnOnce(&mut SignalState) -> T) -> T {
        let mut threads = self.threads.lock();
        act(&mut threads.running(self.platform.thread()).signals)
    }

    pub(super) fn clone_thread(
        &self,
        [flags, stack, parent_id, child_id, thread_pointer, _]: [u64; 6],
        registers: &Registers,
    ) -> Result<u64, Error> {
        if flags != u64::from(NEW_THREAD) {
            return Err(Error::EINVAL);
        }
        let beginning = Registers {
            rax: 0,
            rsp: stack,
            fs_base: canonical(thread_pointer)?,
            ..*registers
        };
        let mut threads = self.threads.lock();
        let mask = threads.running(self.platform.thread()).signals.mask;
        let spawned = threads.spawn(beginning, child_id, mask)?;
        let id = thread_id(spawned.index);
        // The new thread finds its number there. The host could enter it already, but without
        // the lock it does not begin.
        if let Err(error) = UserMemory::write(self, parent_id, &id.to_le_bytes()) {
            let _ = threads.withdraw(spawned);
            return Err(error);
        }
        drop(threads);
        let arguments = [spawned.index.into(), 0, 0, 0];
        if self.platform.ask(Operation::StartThread, arguments) != 0 {
            // A host that says so and has started it, or starts it all the same, stops the
            // Keep: the program takes the thread's stack for its own again.
            if !self.threads.lock().withdraw(spawned) {
                self.platform.stop(Stop::Thread);
            }
            return Err(Error::EAGAIN);
        }
        Ok(id.into())
    }

    /// Ends the calling thread; its stack is not used from now on.
    pub(super) fn end_thread(&self) {
        let ended = self.threads.lock().end(self.platform.thread());
        if ended.clear_at_end != 0 && UserMemory::write(self, ended.clear_at_end, &[0; 4]).is_ok() {
            self.wake(ended.clear_at_end, 1);
        }
    }

    pub(super) fn futex(
        &self,
        [address, operation, value, timeout, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        const COMMAND: u32 = !(general::FUTEX_PRIVATE_FLAG | general::FUTEX_CLOCK_REALTIME);
        let (operation, value) = (operation as u32, value as u32);
        if !address.is_multiple_of(4) {
            return Err(Error::EINVAL);
        }
        match operation & COMMAND {
            general::FUTEX_WAIT | general::FUTEX_WAIT_BITSET => {
                let is_relative = operation & COMMAND == general::FUTEX_WAIT;
                let deadline = match timeout {
                    0 => None,
                    at => {
                        let time = self.duration(at)?;
                        Some(if is_relative {
                            self.now().saturating_add(time)
                        } else if operation & general::FUTEX_CLOCK_REALTIME != 0 {
                            self.moment_of_wall(time)
                        } else {
                            time
                        })
                    }
                };
                self.wait(address, value, deadline)
            }
            general::FUTEX_WAKE => Ok(self.wake(address, value as usize)),
            _ => Err(Error::ENOSYS),
        }
    }

    /// Waits at `address` while the value there is `expected`, until `deadline`.
    fn wait(&self, address: u64, expected: u32, deadline: Option<u64>) -> Result<u64, Error> {
        let thread = self.platform.thread();
        let mut waiters = self.waiters.lock();
        self.space
            .lock()
            .prepare(&self.platform, address, 4, Access::READ)?;
        // SAFETY: aligned by the caller, mapped and readable by the line above.
        let value = unsafe { AtomicU32::from_ptr(address as *mut u32) };
        if value.load(Ordering::SeqCst) != expected {
            return Err(Error::EAGAIN);
        }
        waiters.enqueue(thread, address);
        drop(waiters);
        loop {
            // The host may return early, and often: what counts is what is in here.
            let late = !self.park(deadline);
            let mut waiters = self.waiters.lock();
            if waiters.take_woken(thread) {
                return Ok(0);
            }
            if late {
                waiters.give_up(thread);
                return Err(Error::ETIMEDOUT);
            }
        }
    }

    /// Wakes waiters at `address`.
    pub(super) fn wake(&self, address: u64, count: usize) -> u64 {
        let woken = self.waiters.lock().wake(address, count);
        for thread in &woken {
            let arguments = [u64::from(*thread), 0, 0, 0];
            self.platform.ask(Operation::Unpark, arguments);
        }
        woken.len() as u64
    }

    /// The one signal that a program sends, to itself, is that of `abort`, which nobody handles:
    /// the Keep ends.
    pub(super) fn signal_itself(&self, [_, _, signal, ..]: [u64; 6]) -> ! {
        self.exit(super::SIGNALED + (signal & 0x7F))
    }

    /// One processor: how many there really are is the host's word.
    pub(super) fn affinity(&self, [_, size, set, ..]: [u64; 6]) -> Result<u64, Error> {
        const SIZE: u64 = 8;
        if size < SIZE {
            return Err(Error::EINVAL);
        }
        UserMemory::write(self, set, &1u64.to_le_bytes())?;
        Ok(SIZE)
    }
}
