//! A thread's registers.

/// The general registers of a thread, where an exception or a system call interrupted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Registers {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rflags: u64,
    pub rip: u64,
    pub fs_base: u64,
}

/// Registers beside the base of FS.
pub const GENERAL_REGISTERS: usize = 18;

impl Registers {
    /// All but the base of FS, in the order of the fields, which is that of GPRSGX in an
    /// enclave's save area.
    #[must_use]
    pub const fn general(&self) -> [u64; GENERAL_REGISTERS] {
        let r = self;
        [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11,
            r.r12, r.r13, r.r14, r.r15, r.rflags, r.rip,
        ]
    }

    /// Registers from [`general`](Self::general) and the base of FS.
    #[must_use]
    #[rustfmt::skip]
    pub const fn new(general: [u64; GENERAL_REGISTERS], fs_base: u64) -> Self {
        let [
            rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11,
            r12, r13, r14, r15, rflags, rip,
        ] = general;
        Self {
            rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11,
            r12, r13, r14, r15, rflags, rip, fs_base,
        }
    }

    /// The arguments of a system call.
    #[must_use]
    pub const fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

/// Size of [`ExtendedState`] in bytes: the legacy region, the header, and AVX.
pub const EXTENDED_STATE_SIZE: usize = 576 + 256;

/// The state of x87, SSE and AVX in the standard format of XSAVE (Intel SDM volume 1,
/// "XSAVE area").
pub type ExtendedState = [u8; EXTENDED_STATE_SIZE];

/// The state of a program that has not used any: no component is in the image, so that XRSTOR
/// gives all of them their initial values, and MXCSR its usual one.
pub const INITIAL_EXTENDED_STATE: ExtendedState = {
    let mut state = [0; EXTENDED_STATE_SIZE];
    // x87 control word 0x037F, MXCSR 0x1F80: all exceptions masked.
    state[0] = 0x7F;
    state[1] = 0x03;
    state[24] = 0x80;
    state[25] = 0x1F;
    state
};

/// Makes `state` one that XRSTOR accepts, whatever is in it.
pub fn sanitize(state: &mut ExtendedState) {
    const MXCSR: usize = 24;
    /// Bits of MXCSR that are not reserved.
    const MXCSR_MASK: u32 = 0xFFFF;
    const HEADER: usize = 512;
    const COMPONENTS: u8 = 0b111;
    let mut mxcsr = [0; 4];
    mxcsr.copy_from_slice(&state[MXCSR..MXCSR + 4]);
    let mxcsr = u32::from_le_bytes(mxcsr) & MXCSR_MASK;
    state[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    state[HEADER] &= COMPONENTS;
    state[HEADER + 1..HEADER + 64].fill(0);
}
