//! What the simulator keeps for a thread that may be inside the enclave.
//!
//! A context lies at the start of its thread's signal stack, which is aligned to
//! its own size, so that the first instructions of a signal handler find it from the
//! stack pointer, without thread-local storage: that is the enclave's at that time.

use super::state_save::XsaveImage;

/// A thread's context. The assembly in `transition` knows the offsets of its fields.
#[repr(C, align(64))]
pub(super) struct Context {
    /// Loaded with XRSTOR by ERESUME.
    pub xsave: XsaveImage,
    /// Popped by ERESUME.
    pub resumed: ResumedRegisters,
    /// The segment bases of the host while the thread is inside.
    pub host_fs_base: u64,
    /// As above.
    pub host_gs_base: u64,
    /// The segment bases that the thread will enter with.
    pub next_fs_base: u64,
    /// As above.
    pub next_gs_base: u64,
    /// Where EENTER enters.
    pub target: u64,
    /// The TCS that the thread is inside with.
    pub tcs_address: u64,
    /// Its place in the list of all of them.
    pub tcs_index: usize,
    /// CSSA, as EENTER tells the enclave.
    pub current_frame: u64,
    /// The components that ERESUME loads.
    pub xfrm: u64,
    /// RFLAGS that EENTER sets in addition; 0 for none.
    pub entry_flags: u64,
    /// The instructions that are interrupted while the thread is stepping.
    pub interrupted_start: u64,
    /// As above.
    pub interrupted_end: u64,
    /// Where the latest step was.
    pub interrupted_at: u64,
    /// The selectors of code and stack segment that all code has.
    pub code_selector: u16,
    /// As above.
    pub stack_selector: u16,
    /// Read by the kernel at each system call: [`ALLOW`] or [`BLOCK`].
    pub selector: u8,
    /// Whether the thread is in enclave mode: 0 or 1.
    pub is_inside: u8,
    /// Whether the coming entry is an ERESUME: 0 or 1.
    pub is_resuming: u8,
    /// Whether each instruction in enclave mode is trapped: 0 or 1.
    pub is_stepping: u8,
}

/// `SYSCALL_DISPATCH_FILTER_ALLOW`.
pub(super) const ALLOW: u8 = 0;
/// `SYSCALL_DISPATCH_FILTER_BLOCK`.
pub(super) const BLOCK: u8 = 1;

/// What ERESUME loads, in the order in which `pop` and `iretq` take it.
#[repr(C)]
#[derive(Default)]
pub(super) struct ResumedRegisters {
    /// R15 down to R8, RDI, RSI, RBP, RBX, RDX, RCX, RAX.
    pub general: [u64; 15],
    pub rip: u64,
    pub code_selector: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub stack_selector: u64,
}
