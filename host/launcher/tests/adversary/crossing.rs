//! Into the enclave with registers of the host's choice, and out of it with all that the
//! enclave leaves in them.

use std::arch::naked_asm;
use std::mem::offset_of;

use enarx_host_simulator::sgx::enclave::{Enclave, EnterFunction, SgxEnclaveRun};

/// Size of an XSAVE image with AVX.
const XSAVE_SIZE: usize = 832;

/// What goes in, and what comes out.
#[repr(C, align(64))]
pub struct Crossing {
    state_in: [u8; XSAVE_SIZE],
    // Each image is aligned to 64 bytes, of which its size is a multiple.
    state_out: [u8; XSAVE_SIZE],
    /// RDI, RSI, RDX, R8, R9 at EENTER.
    pub arguments: [u64; 5],
    /// In R12 to R15 at EENTER.
    pub junk: u64,
    /// After an exit: RDI, RSI, RDX, R8 to R15.
    pub left: [u64; 11],
}

/// What a host puts into the extended state.
#[derive(Clone, Copy)]
pub struct Extended {
    /// MXCSR.
    pub mxcsr: u32,
    /// The x87 control and status words.
    pub x87: [u16; 2],
    /// In each byte of all vector and x87 registers.
    pub filling: u8,
}

impl Crossing {
    /// As an honest host enters, with the address of the block.
    pub fn new(block: u64) -> Self {
        let mut crossing = Self {
            state_in: [0; XSAVE_SIZE],
            state_out: [0; XSAVE_SIZE],
            arguments: [block, 0, 0, 0, 0],
            junk: 0,
            left: [0; 11],
        };
        crossing.set_extended(Extended {
            mxcsr: 0x1f80,
            x87: [0x37f, 0],
            filling: 0,
        });
        crossing
    }

    /// Enters with another extended state.
    pub fn set_extended(&mut self, extended: Extended) {
        const ALL: u64 = 0b111;
        let Extended {
            mxcsr,
            x87: [control, status],
            filling,
        } = extended;
        self.state_in.fill(0);
        self.state_in[32..416].fill(filling);
        self.state_in[576..].fill(filling);
        self.state_in[..2].copy_from_slice(&control.to_le_bytes());
        self.state_in[2..4].copy_from_slice(&status.to_le_bytes());
        // Every x87 register is in use.
        self.state_in[4] = filling;
        self.state_in[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        self.state_in[512..520].copy_from_slice(&ALL.to_le_bytes());
    }

    /// Executes EENTER or ERESUME.
    pub fn enter(&mut self, leaf: u32, run: &mut SgxEnclaveRun) {
        self.state_out.fill(0);
        // SAFETY: the function is the enclave's own and both structures are borrowed until it
        // returns; `cross` keeps what compiled code wants kept.
        let status = unsafe { cross(self, leaf, run, Enclave::enter_function()) };
        assert_eq!(status, 0);
    }

    /// The number of the first register that an exit with `EEXIT` did not clear: of those from
    /// RDX on, and 100 for the extended state.
    pub fn not_cleared(&self) -> Option<usize> {
        let general = self.left.iter().skip(2).position(|register| *register != 0);
        let state = &self.state_out;
        let is_initial = state[..4] == [0x7f, 0x03, 0, 0]
            && state[24..28] == 0x1f80u32.to_le_bytes()
            && state[32..416].iter().all(|byte| *byte == 0)
            && state[576..].iter().all(|byte| *byte == 0);
        general.or((!is_initial).then_some(100))
    }

    /// Everything that came out.
    pub fn visible(&self) -> Vec<u8> {
        let registers = self.left.iter().flat_map(|word| word.to_le_bytes());
        registers.chain(self.state_out).collect()
    }
}

/// Calls `function` with all that `crossing` says, and notes what comes back.
#[unsafe(naked)]
unsafe extern "C" fn cross(
    crossing: *mut Crossing,
    leaf: u32,
    run: *mut SgxEnclaveRun,
    function: EnterFunction,
) -> i32 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        // The seventh argument, at a multiple of 16.
        "push rdx",
        "mov r10, rdi",
        "mov r11, rcx",
        "mov ebx, esi",
        "mov eax, 7",
        "xor edx, edx",
        "xrstor64 [r10 + {state_in}]",
        "mov rdi, [r10 + {arguments}]",
        "mov rsi, [r10 + {arguments} + 8]",
        "mov rdx, [r10 + {arguments} + 16]",
        "mov r8, [r10 + {arguments} + 24]",
        "mov r9, [r10 + {arguments} + 32]",
        "mov r12, [r10 + {junk}]",
        "mov r13, r12",
        "mov r14, r12",
        "mov r15, r12",
        "mov ecx, ebx",
        "call r11",
        "add rsp, 8",
        "push rax",
        "mov rax, [rbp - 48]",
        "mov [rax + {left}], rdi",
        "mov [rax + {left} + 8], rsi",
        "mov [rax + {left} + 16], rdx",
        "mov [rax + {left} + 24], r8",
        "mov [rax + {left} + 32], r9",
        "mov [rax + {left} + 40], r10",
        "mov [rax + {left} + 48], r11",
        "mov [rax + {left} + 56], r12",
        "mov [rax + {left} + 64], r13",
        "mov [rax + {left} + 72], r14",
        "mov [rax + {left} + 80], r15",
        "push 2",
        "popfq",
        "mov rcx, rax",
        "mov eax, 7",
        "xor edx, edx",
        "xsave64 [rcx + {state_out}]",
        "pop rax",
        "fninit",
        "fldcw [rsp + 4]",
        "ldmxcsr [rsp]",
        "vzeroupper",
        "add rsp, 16",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        state_in = const offset_of!(Crossing, state_in),
        state_out = const offset_of!(Crossing, state_out),
        arguments = const offset_of!(Crossing, arguments),
        junk = const offset_of!(Crossing, junk),
        left = const offset_of!(Crossing, left),
    )
}

const _: () = assert!(offset_of!(Crossing, state_out).is_multiple_of(64));
