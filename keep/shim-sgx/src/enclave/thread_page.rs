//! What the enclave keeps for each thread, at the base of GS.

use core::arch::asm;

use enarx_wire_launch::sgx::layout;

/// The beginning of a thread's page. Measured as zeros; `entry` writes most of it, and knows the
/// offsets by the constants below.
#[repr(C)]
pub struct ThreadPage {
    /// The host's stack pointer at the latest entry; it gets it back.
    host_rsp: u64,
    /// The host's frame pointer, likewise.
    host_rbp: u64,
    /// Where the host wants to go on after an exit.
    host_return: u64,
    /// The stack pointer of a call to the host that was made with CSSA 0.
    parked_0: u64,
    /// The same with CSSA 1.
    parked_1: u64,
    /// Whether the thread has begun.
    begun: u64,
    /// The block for calls, as the host gave it when the thread began.
    pub block: u64,
    /// Whether the handler runs: CSSA is 1.
    pub handling: u64,
}

pub const HOST_RSP: usize = core::mem::offset_of!(ThreadPage, host_rsp);
pub const HOST_RBP: usize = core::mem::offset_of!(ThreadPage, host_rbp);
pub const HOST_RETURN: usize = core::mem::offset_of!(ThreadPage, host_return);
pub const PARKED_0: usize = core::mem::offset_of!(ThreadPage, parked_0);
pub const PARKED_1: usize = core::mem::offset_of!(ThreadPage, parked_1);
pub const BEGUN: usize = core::mem::offset_of!(ThreadPage, begun);
pub const BLOCK: usize = core::mem::offset_of!(ThreadPage, block);
pub const HANDLING: usize = core::mem::offset_of!(ThreadPage, handling);

/// Where this thread's page lies.
pub fn address() -> u64 {
    let base: u64;
    // SAFETY: reads a register. The processor sets it from the measured TCS at each entry, and
    // the runtime has no use for it.
    unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// This thread's page as the entry code left it.
pub fn block() -> u64 {
    // SAFETY: the page is always there, and the word is only written before Rust code runs.
    unsafe { (address() as *const u64).byte_add(BLOCK).read_volatile() }
}

/// Whether this thread handles an exception.
pub fn is_handling() -> bool {
    // SAFETY: as in `block`.
    unsafe { (address() as *const u64).byte_add(HANDLING).read_volatile() != 0 }
}

/// Where this thread's window begins.
pub fn window() -> u64 {
    address() - layout::thread::THREAD_PAGE
}

/// This thread's index.
pub fn index() -> u32 {
    ((window() - super::entry::base() - layout::THREADS) / layout::THREAD_STRIDE) as u32
}
