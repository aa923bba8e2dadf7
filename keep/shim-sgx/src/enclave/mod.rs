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
mod toolchain;

use core::sync::atomic::{AtomicBool, Ordering};

use enarx_keep_shim::{Kernel, Stop};
use spin::Once;

use platform::Enclave;

/// What serves the runtime, once it is verified.
static KERNEL: Once<Kernel<Enclave>> = Once::new();

/// Set when the Keep has stopped itself. Every entry looks at it.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Stops the Keep: nothing in the enclave runs any more, on this or another thread, however it
/// is entered.
fn stop(reason: Stop) -> ! {
    STOPPED.store(true, Ordering::SeqCst);
    host::abort(reason)
}
