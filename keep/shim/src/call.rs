//! One thread's calls to the host.

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

use enarx_wire_hostcall::call::{Caller, Committed, Operation, Violation};

use crate::platform::{Answer, Stop};

/// A call to the host, and what it may answer.
pub struct HostCall<'a> {
    /// What is asked.
    pub operation: Operation,
    /// With what.
    pub arguments: [u64; 4],
    /// Bytes, in pieces.
    pub payload: &'a [&'a [u8]],
    /// The greatest result.
    pub most: u64,
    /// Where the answer's bytes go.
    pub into: &'a mut [u8],
}

/// What a thread makes its calls with.
pub struct CallSlot {
    in_use: AtomicBool,
    caller: UnsafeCell<Option<Caller>>,
}

// SAFETY: `in_use` lets one user at a time to the caller.
unsafe impl Sync for CallSlot {}

impl CallSlot {
    /// A slot whose caller is made when it is first needed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            caller: UnsafeCell::new(None),
        }
    }

    /// Makes `call`: `caller` gives the thread's caller, and `leave` lets the host see the
    /// request and returns when it has answered.
    ///
    /// # Errors
    ///
    /// Why the Keep has to stop: the host broke the rules of calls, or the shim did.
    pub fn make(
        &self,
        call: HostCall<'_>,
        caller: impl FnOnce() -> Caller,
        leave: impl FnOnce(&Committed<'_>),
    ) -> Result<Answer, Stop> {
        // A call within a call would use the block twice.
        if self.in_use.swap(true, Ordering::Acquire) {
            return Err(Stop::Entry);
        }
        let _release = Release(&self.in_use);
        // SAFETY: whoever has set `in_use` is the one user.
        let slot = unsafe { &mut *self.caller.get() };
        let answer = slot
            .get_or_insert_with(caller)
            .stage(call.operation, call.arguments, call.payload)
            .and_then(|staged| {
                let committed = staged.commit();
                leave(&committed);
                committed.collect(call.most, call.into)
            });
        answer.map_err(|violation| match violation {
            Violation::Sequence => Stop::AnswerSequence,
            Violation::Result => Stop::AnswerResult,
            Violation::Length => Stop::AnswerLength,
            Violation::PayloadTooLong => Stop::RequestLength,
        })
    }
}

impl Default for CallSlot {
    fn default() -> Self {
        Self::new()
    }
}

struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
