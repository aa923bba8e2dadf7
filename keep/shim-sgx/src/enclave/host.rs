//! Calls to the host.

use core::{ptr::NonNull, sync::atomic::Ordering};

use enarx_keep_shim::{Answer, CallSlot, HostCall, Stop};
use enarx_wire_hostcall::call::{BLOCK_SIZE, Caller, Leave, Operation};
use enarx_wire_launch::{PAGE_SIZE, sgx::layout};

use super::{
    STATE,
    entry::{self, enclave_call},
    save_area::SaveArea,
    state, stop, thread_page,
};

/// Asks the host. A violation stops the Keep.
pub fn call(call: HostCall<'_>) -> Answer {
    let ends = call.operation == Operation::Exit;
    let caller = || {
        let block = checked_block(thread_page::block());
        // SAFETY: outside the enclave, by the check: no memory of ours. That it is mapped
        // is the host's own affair.
        unsafe { Caller::new(block) }
    };
    let answer = CALLERS[thread_page::index() as usize].make(call, caller, |_| {
        if ends {
            // Other threads end too, whatever the host does.
            STATE.store(state::ENDED, Ordering::SeqCst);
        }
        leave();
    });
    answer.unwrap_or_else(|reason| stop(reason))
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

static CALLERS: [CallSlot; layout::MAX_THREADS as usize] =
    [const { CallSlot::new() }; layout::MAX_THREADS as usize];

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
