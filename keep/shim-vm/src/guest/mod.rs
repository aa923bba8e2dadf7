//! The guest itself.

mod access;
mod entry;
mod frames;
mod handlers;
mod heap;
mod host;
mod loader;
mod main_thread;
mod paging;
mod platform;
mod processor_page;
mod serve;
mod tables;
mod tee;

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicU8, Ordering},
};

use enarx_keep_shim::{Kernel, Stop};
use spin::Once;

use platform::Machine;

/// What serves the runtime, once it is verified.
static KERNEL: Once<Kernel<Machine>> = Once::new();

/// Whether the Keep goes on. Every processor looks at it when it comes to the shim.
static STATE: AtomicU8 = AtomicU8::new(state::RUNNING);

/// Values of [`STATE`].
mod state {
    pub const RUNNING: u8 = 0;
    /// The Keep has stopped itself.
    pub const STOPPED: u8 = 1;
    /// The runtime has ended.
    pub const ENDED: u8 = 2;
}

/// Stops the Keep: this processor runs nothing any more, and the others stop when they come to
/// the shim.
fn stop(reason: Stop) -> ! {
    STATE.store(state::STOPPED, Ordering::SeqCst);
    host::abort(reason)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(Stop::Panic)
}
