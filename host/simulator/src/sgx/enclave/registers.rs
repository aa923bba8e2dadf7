//! The interrupted state that the kernel hands to a signal handler.

use super::context::Context;
use super::state_save::{XSAVE_SIZE, XsaveImage};

/// RFLAGS: carry, parity, auxiliary carry, zero, sign, overflow.
pub(super) const STATUS_FLAGS: u64 = CARRY_FLAG | 1 << 2 | 1 << 4 | ZERO_FLAG | 1 << 7 | 1 << 11;
pub(super) const CARRY_FLAG: u64 = 1 << 0;
pub(super) const ZERO_FLAG: u64 = 1 << 6;
pub(super) const TRAP_FLAG: u64 = 1 << 8;
pub(super) const DIRECTION_FLAG: u64 = 1 << 10;
pub(super) const RESUME_FLAG: u64 = 1 << 16;
pub(super) const ALIGNMENT_FLAG: u64 = 1 << 18;
pub(super) const IDENTIFICATION_FLAG: u64 = 1 << 21;

/// Numbers of registers, as instructions encode them.
pub(super) const RAX: usize = 0;
pub(super) const RCX: usize = 1;
pub(super) const RDX: usize = 2;
pub(super) const RBX: usize = 3;
pub(super) const RSP: usize = 4;
pub(super) const RBP: usize = 5;
pub(super) const RSI: usize = 6;
pub(super) const RDI: usize = 7;
pub(super) const R11: usize = 11;

/// By number, where the kernel's frame has a register.
const PLACES: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The registers of interrupted code, which it goes on with.
pub(super) struct Registers<'frame> {
    frame: &'frame mut libc::ucontext_t,
    /// The segment bases, which the kernel does not keep in its frame.
    pub fs_base: u64,
    /// As above.
    pub gs_base: u64,
}

impl<'frame> Registers<'frame> {
    /// # Safety
    ///
    /// `frame` is what the kernel passed to a signal handler that is still running.
    pub(super) unsafe fn new(frame: *mut libc::ucontext_t, fs_base: u64, gs_base: u64) -> Self {
        Self {
            // SAFETY: valid, and nobody else's, until the handler returns.
            frame: unsafe { &mut *frame },
            fs_base,
            gs_base,
        }
    }

    fn place(&self, place: libc::c_int) -> u64 {
        self.frame.uc_mcontext.gregs[place as usize] as u64
    }

    fn set_place(&mut self, place: libc::c_int, value: u64) {
        self.frame.uc_mcontext.gregs[place as usize] = value as i64;
    }

    pub(super) fn get(&self, register: usize) -> u64 {
        self.place(PLACES[register])
    }

    pub(super) fn set(&mut self, register: usize, value: u64) {
        self.set_place(PLACES[register], value);
    }

    pub(super) fn general(&self) -> [u64; 16] {
        std::array::from_fn(|register| self.get(register))
    }

    pub(super) fn rip(&self) -> u64 {
        self.place(libc::REG_RIP)
    }

    pub(super) fn set_rip(&mut self, rip: u64) {
        self.set_place(libc::REG_RIP, rip);
    }

    pub(super) fn rflags(&self) -> u64 {
        self.place(libc::REG_EFL)
    }

    pub(super) fn set_rflags(&mut self, rflags: u64) {
        self.set_place(libc::REG_EFL, rflags);
    }

    /// The exception's vector, if an exception made the signal.
    pub(super) fn vector(&self) -> u64 {
        self.place(libc::REG_TRAPNO)
    }

    pub(super) fn error_code(&self) -> u32 {
        self.place(libc::REG_ERR) as u32
    }

    /// The address of a page fault.
    pub(super) fn fault_address(&self) -> u64 {
        self.place(libc::REG_CR2)
    }

    /// Brings back the segments of ordinary code: an instruction that hardware refuses in
    /// enclaves may have changed them.
    pub(super) fn set_selectors(&mut self, context: &Context) {
        let kept = self.place(libc::REG_CSGSFS) & 0x0000_ffff_ffff_0000;
        let selectors = u64::from(context.code_selector) | u64::from(context.stack_selector) << 48;
        self.set_place(libc::REG_CSGSFS, kept | selectors);
    }

    /// The extended state of components `xfrm`.
    pub(super) fn extended_state(&mut self, xfrm: u64) -> XsaveImage {
        XsaveImage::of_interrupted(self.image(), xfrm)
    }

    /// Brings the extended state of components `xfrm` to the initial one.
    pub(super) fn initialise_extended_state(&mut self, xfrm: u64) {
        XsaveImage::initialise(self.image(), xfrm);
    }

    fn image(&mut self) -> &mut [u8; XSAVE_SIZE] {
        // SAFETY: with AVX, without which no enclave is initialised, the kernel's frame has
        // a standard-format XSAVE image of at least this size, which belongs to the frame.
        unsafe { &mut *self.frame.uc_mcontext.fpregs.cast() }
    }
}
