//! Calls to the host.

use core::{
    hint,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use enarx_keep_shim::{Answer, CallSlot, HostCall, Stop};
use enarx_wire_hostcall::call::{Caller, Leave, Operation};
use enarx_wire_launch::vm::{Doorbell, layout};

use super::{STATE, paging, processor_page, state, stop, tee::tee};

/// Asks the host. A violation stops the Keep.
pub fn call(call: HostCall<'_>) -> Answer {
    let index = processor_page::index();
    let ends = call.operation == Operation::Exit;
    let caller = || {
        let block = NonNull::without_provenance(
            const { core::num::NonZeroUsize::new(layout::BLOCKS as usize).unwrap() },
        );
        // SAFETY: the blocks are memory that is shared with the host, mapped where it lies, and
        // each is one processor's alone.
        unsafe { Caller::new(block.byte_add((layout::block(index) - layout::BLOCKS) as usize)) }
    };
    let answer = CALLERS[index as usize].make(call, caller, |committed| {
        if ends {
            // Other threads end too, whatever the host does.
            STATE.store(state::ENDED, Ordering::SeqCst);
        }
        ring(Leave::Call, 0);
        if waits() {
            while !committed.is_answered() {
                hint::spin_loop();
            }
        }
        if !ends {
            come_back();
        }
    });
    answer.unwrap_or_else(|reason| stop(reason))
}

/// Tells the host that this processor's thread has ended. Returns when the host wants another
/// one to begin.
pub fn thread_ended() {
    ring(Leave::ThreadEnded, 0);
}

/// Goes on after time has passed in which other processors may have ended the Keep, or taken
/// access away.
pub fn come_back() {
    go_on_if_running();
    paging::come_back();
}

/// Returns only while the Keep goes on; another processor may have ended it.
fn go_on_if_running() {
    match STATE.load(Ordering::SeqCst) {
        state::RUNNING => {}
        state::ENDED => loop {
            ring(Leave::ThreadEnded, 0);
        },
        _ => abort(Stop::Entry),
    }
}

/// Leaves for the last time.
pub fn abort(reason: Stop) -> ! {
    loop {
        ring(Leave::Abort, reason as u8);
    }
}

/// Takes note of how the host wants to be called, before anything calls it.
pub fn begin(doorbell: Doorbell) {
    PORT.store(doorbell == Doorbell::Port, Ordering::Relaxed);
}

static PORT: AtomicBool = AtomicBool::new(false);

/// Whether the host may answer a call only after the machine goes on, as where the doorbell is a port.
pub fn waits() -> bool {
    PORT.load(Ordering::Relaxed)
}

/// Leaves the machine, for the reason `leave` and with a detail.
fn ring(leave: Leave, detail: u8) {
    paging::leave();
    tee().ring(leave as u32 | u32::from(detail) << 8);
}

static CALLERS: [CallSlot; layout::PROCESSORS as usize] =
    [const { CallSlot::new() }; layout::PROCESSORS as usize];
