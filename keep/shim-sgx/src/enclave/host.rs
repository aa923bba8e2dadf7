//! Calls to the host.

use core::{
    cell::UnsafeCell,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use enarx_keep_shim::{Answer, Stop};
use enarx_wire_hostcall::call::{BLOCK_SIZE, Caller, Leave, Operation, Violation};
use enarx_wire_launch::{PAGE_SIZE, sgx::layout};

use super::{
    STATE,
    entry::{self, enclave_call},
    save_area::SaveArea,
    state, stop, thread_page,
};

/// Asks the host. A violation stops the Keep.
pub fn call(
    operation: Operation,
    arguments: [u64; 4],
    payload: &[&[u8]],
    most: u64,
    into: &mut [u8],
) -> Answer {
    let slot = &CALLERS[thread_page::index() as usize];
    let mut borrowed = slot.borrow();
    let answer = borrowed
        .caller()
        .stage(operation, arguments, payload)
        .and_then(|staged| {
            let committed = staged.commit();
            if operation == Operation::Exit {
                // Other threads end too, whatever the host does.
                STATE.store(state::ENDED, Ordering::SeqCst);
            }
            leave();
            committed.collect(most, into)
        });
    match answer {
        Ok(answer) => Answer {
            result: answer.result,
            length: answer.length,
        },
        Err(violation) => stop(match violation {
            Violation::Sequence => Stop::AnswerSequence,
            Violation::Result => Stop::AnswerResult,
            Violation::Length => Stop::AnswerLength,
            Violation::PayloadTooLong => Stop::RequestLength,
        }),
    }
}

/// Leaves for the last time.
pub fn abort(reason: Stop) -> ! {
    if thread_page::is_handling() {
        // SAFETY: CSSA is 1, and the handler, which may have one, does not go on.
        let mut interrupted = unsafe { SaveArea::first() };
        // Resuming enters nothing that looks whether the Keep has stopped.
        interrupted.redirect(entry::resumed_early());
    }
    loop {
        // The entry code lets nobody in any more, and never returns here.
        enclave_call(Leave::Abort, reason as u64);
    }
}

/// Lets the host serve the call in this thread's block.
fn leave() {
    if thread_page::is_handling() {
        // SAFETY: CSSA is 1, and the handler, whose call this is, holds none: it takes what it
        // needs from one before, and puts it back into another afterwards.
        let mut interrupted = unsafe { SaveArea::first() };
        let goes_on = interrupted.instruction_pointer();
        interrupted.redirect(entry::resumed_early());
        enclave_call(Leave::Call, 0);
        // If it was resumed all the same, and faulted before its first instruction, the area
        // was written again: with a fault that is not the runtime's.
        let untouched = interrupted.instruction_pointer() == entry::resumed_early()
            && interrupted.take_exception().is_none();
        if !untouched {
            stop(Stop::Entry);
        }
        interrupted.set_instruction_pointer(goes_on);
    } else {
        enclave_call(Leave::Call, 0);
    }
}

static CALLERS: [Slot; layout::MAX_THREADS as usize] =
    [const { Slot::new() }; layout::MAX_THREADS as usize];

/// One thread's caller.
struct Slot {
    in_use: AtomicBool,
    caller: UnsafeCell<Option<Caller>>,
}

// SAFETY: `in_use` lets one user at a time to the caller.
unsafe impl Sync for Slot {}

impl Slot {
    const fn new() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            caller: UnsafeCell::new(None),
        }
    }

    /// A call within a call would use the block twice; it would be an error of the shim's own.
    fn borrow(&self) -> Borrowed<'_> {
        if self.in_use.swap(true, Ordering::Acquire) {
            stop(Stop::Entry);
        }
        Borrowed(self)
    }
}

struct Borrowed<'a>(&'a Slot);

impl Borrowed<'_> {
    fn caller(&mut self) -> &mut Caller {
        // SAFETY: whoever holds this is the one user.
        let caller = unsafe { &mut *self.0.caller.get() };
        caller.get_or_insert_with(|| {
            let block = checked_block(thread_page::block());
            // SAFETY: outside the enclave, by the check: no memory of ours. That it is mapped
            // is the host's own affair.
            unsafe { Caller::new(block) }
        })
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.0.in_use.store(false, Ordering::Release);
    }
}

/// The host's block, if all of it lies outside the enclave.
fn checked_block(address: u64) -> NonNull<u8> {
    /// The end of the addresses that programs have.
    const END: u64 = 1 << 47;
    let enclave = entry::base()..entry::base() + layout::ENCLAVE_SIZE;
    let end = address.saturating_add(BLOCK_SIZE as u64);
    let outside = end <= enclave.start || address >= enclave.end;
    match NonNull::new(address as *mut u8) {
        Some(block) if outside && end <= END && address.is_multiple_of(PAGE_SIZE as u64) => block,
        _ => stop(Stop::Entry),
    }
}
