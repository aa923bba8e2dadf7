//! What a hostile host does to an enclave and an honest one does not, for tests.
//!
//! Whoever runs the operating system can interrupt an enclave at any instruction, and
//! enters it with any flags. An enclave does not see the difference: to it, these are
//! interrupts and flags like others.

use std::ops::Range;

use super::context::Context;
use super::registers::{
    ALIGNMENT_FLAG, DIRECTION_FLAG, IDENTIFICATION_FLAG, Registers, STATUS_FLAGS, TRAP_FLAG,
};
use super::thread::ThreadAttachment;

/// The vector by which the run structure names an interrupt. None of an exception's is as
/// great.
pub const INTERRUPT_VECTOR: u16 = 32;

/// What is done to the enclave while one thread is inside. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interference {
    /// An interrupt arrives before each instruction at these addresses. The function that
    /// enters the enclave then returns, with the leaf function ERESUME and
    /// [`INTERRUPT_VECTOR`] in the run structure. A string instruction that repeats is
    /// interrupted once.
    pub interrupted: Range<u64>,
    /// RFLAGS that are set at EENTER, of those that programs can set: the status flags, DF,
    /// AC and ID.
    pub entry_flags: u64,
}

impl ThreadAttachment {
    /// Interferes from the next entry of this thread on.
    pub fn interfere(&self, interference: &Interference) {
        const SETTABLE: u64 = STATUS_FLAGS | DIRECTION_FLAG | ALIGNMENT_FLAG | IDENTIFICATION_FLAG;
        let is_stepping = !interference.interrupted.is_empty();
        // SAFETY: this thread's, which is outside the enclave and handles no signal.
        let context = unsafe { &mut *self.context() };
        context.interrupted_start = interference.interrupted.start;
        context.interrupted_end = interference.interrupted.end;
        context.is_stepping = u8::from(is_stepping);
        context.entry_flags =
            interference.entry_flags & SETTABLE | if is_stepping { TRAP_FLAG } else { 0 };
    }

    /// Where the latest such interrupt came. Hardware does not say, but whoever counts
    /// instructions knows.
    #[must_use]
    pub fn interrupted_at(&self) -> u64 {
        // SAFETY: as in `interfere`.
        unsafe { (*self.context()).interrupted_at }
    }
}

impl Context {
    /// Whether an interrupt arrives before the instruction that the enclave goes on with.
    pub(super) fn is_interrupted(&mut self, registers: &Registers<'_>) -> bool {
        let rip = registers.rip();
        let is_repeated = self.interrupted_at == rip;
        let interrupted = self.is_stepping != 0
            && !is_repeated
            && (self.interrupted_start..self.interrupted_end).contains(&rip);
        self.interrupted_at = rip;
        interrupted
    }

    /// The flag by which the enclave's next instruction is trapped, if it has to be.
    pub(super) fn trap_flag(&self) -> u64 {
        u64::from(self.is_stepping) * TRAP_FLAG
    }
}
