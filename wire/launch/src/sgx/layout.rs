//! Where things lie in an enclave: offsets from its base, in bytes.
//!
//! ```text
//! 0x0_0000_0000  nothing, so that null pointers fault
//! 0x0_0010_0000  the shim
//! 0x0_0100_0000  the launch page, then the enclave information page
//! 0x0_0200_0000  threads, one each 1 MiB
//! 0x0_1000_0000  the runtime
//! 0x2_0000_0000  the shim's heap     (added at run time)
//! 0x4_0000_0000  the runtime's memory (added at run time)
//! 0x10_0000_0000 end
//! ```

/// Size of the enclave's range of addresses: 64 GiB. Addresses cost nothing, and compiled
/// WebAssembly reserves 4 GiB and its guards for each linear memory.
pub const ENCLAVE_SIZE: u64 = 1 << 36;

/// Where every enclave lies.
///
/// An enclave can read, write and jump to what its host has mapped around it. Compiled WebAssembly
/// relies on null pointers to fault: calls through an empty element of a table, and
/// accesses that are out of bounds, go there. So address zero must be the enclave's own, and
/// have no page. The base is not measured: the shim refuses to run at any other.
pub const BASE: u64 = 0;

/// The shim, linked to address zero.
pub const SHIM: u64 = 0x0010_0000;

/// The launch page.
pub const LAUNCH_PAGE: u64 = 0x0100_0000;

/// The enclave information page.
pub const INFO_PAGE: u64 = 0x0100_1000;

/// The first thread's window.
pub const THREADS: u64 = 0x0200_0000;

/// Distance from one thread's window to the next.
pub const THREAD_STRIDE: u64 = 0x0010_0000;

/// Threads for which there is room.
pub const MAX_THREADS: u32 = 64;

/// The runtime, linked to address zero.
pub const RUNTIME: u64 = 0x1000_0000;

/// The end of the room for the runtime.
pub const RUNTIME_END: u64 = 0x8000_0000;

/// The shim's heap.
pub const SHIM_HEAP: u64 = 0x2_0000_0000;

/// The end of the shim's heap.
pub const SHIM_HEAP_END: u64 = 0x4_0000_0000;

/// Memory that the runtime maps.
pub const USER: u64 = 0x4_0000_0000;

/// The end of what the runtime maps.
pub const USER_END: u64 = ENCLAVE_SIZE;

/// What lies in a thread's window: offsets from its start. Pages that are not named do
/// not exist, so that a stack that overflows faults.
pub mod thread {
    /// The thread control structure.
    pub const TCS: u64 = 0x1000;
    /// The first of two state save areas, of a page each.
    pub const SSA: u64 = 0x2000;
    /// State save areas. An exception takes the first, and its handler can be interrupted
    /// into the second; there is no third, so that the processor itself refuses to enter
    /// the handler of a handler.
    pub const SSA_COUNT: u32 = 2;
    /// The exception handler's stack.
    pub const HANDLER_STACK: u64 = 0x5000;
    /// Its end.
    pub const HANDLER_STACK_END: u64 = 0x1_5000;
    /// The stack on which the shim starts a thread.
    pub const ENTRY_STACK: u64 = 0x1_6000;
    /// Its end.
    pub const ENTRY_STACK_END: u64 = 0x1_E000;
    /// The page that the shim's segment registers point to; measured as zeros.
    pub const THREAD_PAGE: u64 = 0x1_F000;
}

/// The start of thread `index`'s window.
#[must_use]
pub const fn thread_window(index: u32) -> u64 {
    THREADS + index as u64 * THREAD_STRIDE
}
