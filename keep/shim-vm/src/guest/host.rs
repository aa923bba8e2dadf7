//! Calls to the host.

use core::{
    arch::asm,
    hint,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, Ordering},
};

use enarx_keep_shim::{Answer, CallSlot, HostCall, Stop};
use enarx_wire_hostcall::call::{Caller, Leave, Operation};
use enarx_wire_launch::vm::{Doorbell, layout};

use super::{STATE, processor_page, state, stop};

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
        if port() {
            while !committed.is_answered() {
                hint::spin_loop();
            }
        }
        if !ends {
            go_on_if_running();
        }
    });
    answer.unwrap_or_else(|reason| stop(reason))
}

/// Tells the host that this processor's thread has ended. Returns when the host wants another
/// one to begin.
pub fn thread_ended() {
    ring(Leave::ThreadEnded, 0);
}

/// Returns only while the Keep goes on; another processor may have ended it.
pub fn go_on_if_running() {
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

fn port() -> bool {
    PORT.load(Ordering::Relaxed)
}

/// Leaves the machine, for the reason `leave` and with a detail.
fn ring(leave: Leave, detail: u8) {
    if port() {
        for byte in [leave as u8, detail] {
            // SAFETY: a port without a device that touches memory, in ring 0.
            unsafe {
                asm!("out dx, al", in("dx") layout::DOORBELL_PORT, in("al") byte, options(nostack));
            }
        }
        return;
    }
    let value = leave as u32 | u32::from(detail) << 8;
    // SAFETY: mapped where it lies, and there is no memory; a host that puts some there learns what
    // it would have been told anyway.
    unsafe { ptr::write_volatile(layout::DOORBELL as *mut u32, value) };
}

static CALLERS: [CallSlot; layout::PROCESSORS as usize] =
    [const { CallSlot::new() }; layout::PROCESSORS as usize];
