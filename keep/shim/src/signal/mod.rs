//! Signals that faults cause.
//!
//! Nothing outside a Keep can send it a signal. What is left is what the program's own
//! instructions cause: wasmtime turns out-of-bounds accesses, divisions by zero and
//! overflowing stacks into traps by handling SIGSEGV, SIGFPE and SIGILL.

mod frame;

pub use frame::{pop, push};

use linux_raw_sys::general;

use crate::{Error, UserMemory};

/// A fault that the program caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// The processor's vector.
    pub vector: u8,
    /// Its error code.
    pub code: u32,
    /// The address that was accessed, for page faults.
    pub address: u64,
}

/// A signal about to be delivered: the parts of `siginfo_t` and `sigcontext` that a fault sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// The signal's number.
    pub number: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// What caused it.
    pub cause: Exception,
}

impl Signal {
    /// The signal that Linux sends for an exception at `rip`; `mapped` says of a page fault
    /// whether there was something that did not permit the access.
    #[must_use]
    pub fn of(cause: Exception, rip: u64, mapped: bool) -> Self {
        const ILL_ILLOPN: i32 = 2;
        const FPE_INTDIV: i32 = 1;
        const FPE_FLTINV: i32 = 7;
        const SEGV_MAPERR: i32 = 1;
        const SEGV_ACCERR: i32 = 2;
        const BUS_ADRALN: i32 = 1;
        const SI_KERNEL: i32 = 0x80;
        let (number, code, address) = match cause.vector {
            vector::DIVIDE => (general::SIGFPE, FPE_INTDIV, rip),
            vector::X87 | vector::SIMD => (general::SIGFPE, FPE_FLTINV, rip),
            vector::DEBUG | vector::BREAKPOINT => (general::SIGTRAP, SI_KERNEL, 0),
            vector::INVALID_OPCODE => (general::SIGILL, ILL_ILLOPN, rip),
            vector::ALIGNMENT => (general::SIGBUS, BUS_ADRALN, 0),
            vector::PAGE_FAULT if mapped => (general::SIGSEGV, SEGV_ACCERR, cause.address),
            vector::PAGE_FAULT => (general::SIGSEGV, SEGV_MAPERR, cause.address),
            _ => (general::SIGSEGV, SI_KERNEL, 0),
        };
        Self {
            number,
            code,
            address,
            cause,
        }
    }
}

/// Vectors of exceptions (Intel SDM volume 3A, table "Protected-Mode Exceptions and Interrupts").
pub mod vector {
    /// #DE
    pub const DIVIDE: u8 = 0;
    /// #DB
    pub const DEBUG: u8 = 1;
    /// #BP
    pub const BREAKPOINT: u8 = 3;
    /// #OF
    pub const OVERFLOW: u8 = 4;
    /// #BR
    pub const BOUND: u8 = 5;
    /// #UD
    pub const INVALID_OPCODE: u8 = 6;
    /// #SS
    pub const STACK: u8 = 12;
    /// #GP
    pub const PROTECTION: u8 = 13;
    /// #PF
    pub const PAGE_FAULT: u8 = 14;
    /// #MF
    pub const X87: u8 = 16;
    /// #AC
    pub const ALIGNMENT: u8 = 17;
    /// #XM
    pub const SIMD: u8 = 19;
}

/// Signals that exist, and with them the bits of a set of signals.
const SIGNALS: u64 = 64;

/// What the program wants done about each signal (`rt_sigaction`).
#[derive(Debug)]
pub struct Actions([Action; SIGNALS as usize]);

/// The kernel's `struct sigaction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Action {
    /// The handler, or 0 for the default, or 1 to ignore.
    pub handler: u64,
    /// `SA_*`
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Signals that are blocked meanwhile.
    pub mask: u64,
}

impl Action {
    /// Whether a function of the program's handles the signal.
    #[must_use]
    pub const fn is_handled(&self) -> bool {
        self.handler > 1
    }
}

impl Actions {
    /// Defaults for all.
    #[must_use]
    pub const fn new() -> Self {
        const DEFAULT: Action = Action {
            handler: 0,
            flags: 0,
            restorer: 0,
            mask: 0,
        };
        Self([DEFAULT; SIGNALS as usize])
    }

    /// What to do about a signal.
    #[must_use]
    pub fn get(&self, number: u32) -> Action {
        let index = (number as usize).wrapping_sub(1);
        self.0.get(index).copied().unwrap_or_default()
    }

    /// `rt_sigaction`
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for signals that do not exist or cannot be handled.
    pub fn change(
        &mut self,
        memory: &impl UserMemory,
        [number, new, old, set_size, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        let unchangeable = [general::SIGKILL, general::SIGSTOP].map(u64::from);
        if set_size != 8 || (new != 0 && unchangeable.contains(&number)) {
            return Err(Error::EINVAL);
        }
        let index = number.wrapping_sub(1);
        let action = usize::try_from(index)
            .ok()
            .and_then(|index| self.0.get_mut(index))
            .ok_or(Error::EINVAL)?;
        let before = *action;
        if new != 0 {
            let [handler, flags, restorer, mask] = memory.longs(new)?;
            *action = Action {
                handler,
                flags,
                restorer,
                mask,
            };
        }
        if old != 0 {
            let fields = [before.handler, before.flags, before.restorer, before.mask];
            memory.write_longs(old, fields)?;
        }
        Ok(0)
    }
}

/// A thread's part in signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalState {
    /// Blocked signals.
    pub mask: u64,
    /// Where handlers run that want it.
    pub stack: AlternateStack,
}

/// `sigaltstack`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlternateStack {
    /// Where it begins.
    pub base: u64,
    /// Its size in bytes; zero means that there is none.
    pub size: u64,
}

impl AlternateStack {
    const fn contains(&self, address: u64) -> bool {
        address > self.base && address - self.base <= self.size
    }

    /// `stack_t`
    fn encode(&self, stack_pointer: u64) -> [u64; 3] {
        let flags = if self.size == 0 {
            general::SS_DISABLE
        } else if self.contains(stack_pointer) {
            general::SS_ONSTACK
        } else {
            0
        };
        [self.base, flags.into(), self.size]
    }
}

impl SignalState {
    /// `sigaltstack`
    ///
    /// # Errors
    ///
    /// [`Error::EPERM`] on the stack itself, [`Error::ENOMEM`] for one that is too small,
    /// [`Error::EINVAL`] for unknown flags.
    pub fn change_stack(
        &mut self,
        memory: &impl UserMemory,
        [new, old, ..]: [u64; 6],
        stack_pointer: u64,
    ) -> Result<u64, Error> {
        let before = self.stack;
        if new != 0 {
            let [base, flags, size] = memory.longs(new)?;
            if before.contains(stack_pointer) {
                return Err(Error::EPERM);
            }
            self.stack = match flags as u32 {
                general::SS_DISABLE => AlternateStack::default(),
                0 | general::SS_ONSTACK if size < u64::from(general::MINSIGSTKSZ) => {
                    return Err(Error::ENOMEM);
                }
                0 | general::SS_ONSTACK => AlternateStack { base, size },
                _ => return Err(Error::EINVAL),
            };
        }
        if old != 0 {
            memory.write_longs(old, before.encode(stack_pointer))?;
        }
        Ok(0)
    }

    /// `rt_sigprocmask`
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for another way of changing or another size of a set.
    pub fn change_mask(
        &mut self,
        memory: &impl UserMemory,
        [how, new, old, set_size, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        const UNBLOCKABLE: u64 = 1 << (general::SIGKILL - 1) | 1 << (general::SIGSTOP - 1);
        if set_size != 8 {
            return Err(Error::EINVAL);
        }
        let before = self.mask;
        if new != 0 {
            let set = memory.long(new)?;
            self.mask = match u32::try_from(how) {
                Ok(general::SIG_BLOCK) => before | set,
                Ok(general::SIG_UNBLOCK) => before & !set,
                Ok(general::SIG_SETMASK) => set,
                _ => return Err(Error::EINVAL),
            } & !UNBLOCKABLE;
        }
        if old != 0 {
            memory.write_longs(old, [before])?;
        }
        Ok(0)
    }
}
