//! The enclave itself.

mod entry;
mod exception;
mod heap;
mod host;
mod leaf;
mod main_thread;
mod pages;
mod platform;
mod save_area;
mod thread_page;

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicU8, Ordering},
};

use enarx_keep_shim::{Kernel, Stop};
use spin::Once;

use platform::Enclave;

/// What serves the runtime, once it is verified.
static KERNEL: Once<Kernel<Enclave>> = Once::new();

/// Whether the Keep goes on. Every entry looks at it.
static STATE: AtomicU8 = AtomicU8::new(state::RUNNING);

/// Values of [`STATE`].
mod state {
    pub const RUNNING: u8 = 0;
    /// The Keep has stopped itself.
    pub const STOPPED: u8 = 1;
    /// The runtime has ended.
    pub const ENDED: u8 = 2;
}

/// Stops the Keep: this thread runs nothing any more, however it is entered, and the others
/// stop when they are entered again.
fn stop(reason: Stop) -> ! {
    STATE.store(state::STOPPED, Ordering::SeqCst);
    host::abort(reason)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(Stop::Panic)
}
