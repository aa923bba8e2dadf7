//! The way in and out.
//!
//! Everything in the registers is the host's at entry, but RAX (CSSA), RBX (the TCS), RIP and
//! the bases of FS and GS, which the processor sets (Intel SDM volume 3D, "EENTER"). So first
//! the flags, the stack and the extended state are made our own, and on the way out every
//! register is cleared that the host must not see.

use core::arch::global_asm;

use enarx_keep_shim::{ExtendedState, INITIAL_EXTENDED_STATE, Registers};
use enarx_wire_hostcall::call::Leave;
use enarx_wire_launch::sgx::layout::{self, thread};

use super::{STATE, exception, main_thread, state, thread_page as page};

global_asm!(
    ".section .text.enclave_entry,\"ax\"",
    ".globl enclave_entry",
    "enclave_entry:",
    "  cld",
    "  mov gs:[{HOST_RSP}], rsp",
    "  mov gs:[{HOST_RBP}], rbp",
    "  mov gs:[{HOST_RETURN}], rcx",
    "  cmp byte ptr [rip + {state}], {RUNNING}",
    "  jne enclave_refuse",
    "  cmp rax, 1",
    "  je 2f",
    "  ja enclave_refuse",
    // CSSA 0: a call returns, or the thread begins.
    "  mov rsp, gs:[{PARKED_0}]",
    "  test rsp, rsp",
    "  jnz 1f",
    "  cmp qword ptr gs:[{BEGUN}], 0",
    "  jne enclave_refuse",
    "  mov qword ptr gs:[{BEGUN}], 1",
    "  mov gs:[{BLOCK}], rdi",
    "  lea rsp, [rbx + {ENTRY_STACK}]",
    "  call enclave_own_state",
    "  call enclave_relocate",
    "  call {begin}",
    "  ud2",
    "1: mov qword ptr gs:[{PARKED_0}], 0",
    "  jmp enclave_return",
    // CSSA 1: a call returns, or there is an exception to handle.
    "2: mov rsp, gs:[{PARKED_1}]",
    "  test rsp, rsp",
    "  jnz 3f",
    "  mov qword ptr gs:[{HANDLING}], 1",
    "  lea rsp, [rbx + {HANDLER_STACK}]",
    "  call enclave_own_state",
    "  call {handle}",
    "  mov qword ptr gs:[{HANDLING}], 0",
    "  mov edi, {RESUME}",
    "  xor esi, esi",
    "  jmp enclave_leave",
    "3: mov qword ptr gs:[{PARKED_1}], 0",
    "enclave_return:",
    "  call enclave_own_state",
    "  pop r15",
    "  pop r14",
    "  pop r13",
    "  pop r12",
    "  pop rbx",
    "  pop rbp",
    "  ret",
    //
    // fn enclave_call(leave: Leave, detail: u64): leaves, and returns when entered again.
    ".globl enclave_call",
    "enclave_call:",
    "  push rbp",
    "  push rbx",
    "  push r12",
    "  push r13",
    "  push r14",
    "  push r15",
    "  cmp qword ptr gs:[{HANDLING}], 0",
    "  jne 4f",
    "  mov gs:[{PARKED_0}], rsp",
    "  jmp enclave_leave",
    "4: mov gs:[{PARKED_1}], rsp",
    //
    // Leaves with RDI and RSI; every other register is cleared.
    "enclave_leave:",
    "  mov eax, 7",
    "  xor edx, edx",
    "  xrstor [rip + {initial_state}]",
    "  xor ebp, ebp",
    "  xor r8d, r8d",
    "  xor r9d, r9d",
    "  xor r10d, r10d",
    "  xor r11d, r11d",
    "  xor r12d, r12d",
    "  xor r13d, r13d",
    "  xor r14d, r14d",
    "  xor r15d, r15d",
    "  mov rbx, gs:[{HOST_RETURN}]",
    "  mov rbp, gs:[{HOST_RBP}]",
    "  mov rsp, gs:[{HOST_RSP}]",
    "  xor ecx, ecx",
    "  mov eax, 4",
    "  test eax, eax",
    // ENCLU[EEXIT]
    "  .byte 0x0f, 0x01, 0xd7",
    "  ud2",
    //
    // Entered where it must not be: the Keep has ended.
    "enclave_refuse:",
    "  cmp byte ptr [rip + {state}], {ENDED}",
    "  je 8f",
    "  mov byte ptr [rip + {state}], {STOPPED}",
    "  mov edi, {ABORT}",
    "  mov esi, {ENTRY}",
    "  jmp enclave_leave",
    //
    // What was interrupted is resumed while its system call is with the host.
    ".globl enclave_resumed_early",
    "enclave_resumed_early:",
    "  jmp enclave_refuse",
    //
    // A thread that has ended comes here: with ERESUME, or from where it began.
    ".globl enclave_thread_ended",
    "enclave_thread_ended:",
    "  mov qword ptr gs:[{BEGUN}], 0",
    "8: mov edi, {THREAD_ENDED}",
    "  xor esi, esi",
    "  jmp enclave_leave",
    //
    // Flags and extended state as compiled code expects them. Keeps RDI and RBX.
    "enclave_own_state:",
    "  push 2",
    "  popfq",
    "  mov eax, 7",
    "  xor edx, edx",
    "  xrstor [rip + {initial_state}]",
    "  ret",
    //
    // Relocates the shim, once. No other than the first thread can have been asked for yet,
    // but the host enters whom it likes: who comes while another is at it has to turn back,
    // for pointers that are not relocated lead out of the enclave. RELATIVE is the
    // one kind of relocation that there is.
    "enclave_relocate:",
    "  mov eax, {NOT_RELOCATED}",
    "  mov ecx, {RELOCATING}",
    "  lock cmpxchg [rip + enclave_relocated], ecx",
    "  je 4f",
    "  cmp eax, {RELOCATED}",
    "  jne enclave_refuse",
    "  ret",
    "4: lea r8, [rip + relocations_start]",
    "  lea r9, [rip + relocations_end]",
    "  lea r10, [rip + shim_base]",
    "5: cmp r8, r9",
    "  jae 6f",
    "  mov rax, [r8]",
    "  mov r11, [r8 + 16]",
    "  add r11, r10",
    "  mov [r10 + rax], r11",
    "  add r8, 24",
    "  jmp 5b",
    "6: mov dword ptr [rip + enclave_relocated], {RELOCATED}",
    "  ret",
    //
    // fn enclave_go(registers: &mut Registers) -> !: becomes the runtime.
    ".globl enclave_go",
    "enclave_go:",
    "  mov rax, [rdi + {FS_BASE}]",
    "  wrfsbase rax",
    "  mov eax, 7",
    "  xor edx, edx",
    "  xrstor [rip + {initial_state}]",
    // The last one is taken from the new stack.
    "  mov rax, [rdi + {RIP}]",
    "  sub qword ptr [rdi + {RSP}], 8",
    "  mov rcx, [rdi + {RSP}]",
    "  mov [rcx], rax",
    // The others from where they lie, in the order in which they do.
    "  mov rsp, rdi",
    "  pop rax",
    "  pop rcx",
    "  pop rdx",
    "  pop rbx",
    "  add rsp, 8",
    "  pop rbp",
    "  pop rsi",
    "  pop rdi",
    "  pop r8",
    "  pop r9",
    "  pop r10",
    "  pop r11",
    "  pop r12",
    "  pop r13",
    "  pop r14",
    "  pop r15",
    "  popfq",
    "  mov rsp, [rsp + {RSP} - {RIP}]",
    "  ret",
    //
    // fn enclave_base() -> u64
    ".globl enclave_base",
    "enclave_base:",
    "  lea rax, [rip + shim_base]",
    "  ret",
    //
    // fn enclave_code_end() -> u64
    ".globl enclave_code_end",
    "enclave_code_end:",
    "  lea rax, [rip + code_end]",
    "  ret",
    ".data",
    ".balign 4",
    "enclave_relocated: .long {NOT_RELOCATED}",
    ".text",
    HOST_RSP = const page::HOST_RSP,
    HOST_RBP = const page::HOST_RBP,
    HOST_RETURN = const page::HOST_RETURN,
    PARKED_0 = const page::PARKED_0,
    PARKED_1 = const page::PARKED_1,
    BEGUN = const page::BEGUN,
    BLOCK = const page::BLOCK,
    HANDLING = const page::HANDLING,
    ENTRY_STACK = const thread::ENTRY_STACK_END - thread::TCS,
    HANDLER_STACK = const thread::HANDLER_STACK_END - thread::TCS,
    RESUME = const Leave::Resume as u64,
    THREAD_ENDED = const Leave::ThreadEnded as u64,
    ABORT = const Leave::Abort as u64,
    ENTRY = const enarx_keep_shim::Stop::Entry as u32,
    RSP = const core::mem::offset_of!(Registers, rsp),
    RIP = const core::mem::offset_of!(Registers, rip),
    FS_BASE = const core::mem::offset_of!(Registers, fs_base),
    NOT_RELOCATED = const 0,
    RELOCATING = const 1,
    RELOCATED = const 2,
    state = sym STATE,
    RUNNING = const state::RUNNING,
    STOPPED = const state::STOPPED,
    ENDED = const state::ENDED,
    initial_state = sym INITIAL_STATE,
    begin = sym main_thread::begin,
    handle = sym exception::handle,
);

unsafe extern "C" {
    /// Leaves the enclave, and returns when the host enters it again.
    pub safe fn enclave_call(leave: Leave, detail: u64);

    /// Becomes the runtime: sets all registers, with a fresh extended state.
    ///
    /// The stack below the new stack pointer must be writable, 8 bytes of it, and the
    /// registers must be those of a program in this enclave.
    pub fn enclave_go(registers: &mut Registers) -> !;

    /// Ends this thread, which can begin again.
    pub safe fn enclave_thread_ended() -> !;

    safe fn enclave_base() -> u64;
    safe fn enclave_code_end() -> u64;
    safe fn enclave_resumed_early();
}

/// Where the enclave begins.
pub fn base() -> u64 {
    enclave_base() - layout::SHIM
}

/// Whether an address lies in the shim's code.
pub fn is_own_code(address: u64) -> bool {
    (enclave_base()..enclave_code_end()).contains(&address)
}

/// Where a save area leads while its thread's call is with the host.
pub fn resumed_early() -> u64 {
    enclave_resumed_early as *const () as u64
}

/// Where the save area of a thread that has ended leads.
pub fn thread_ended() -> u64 {
    enclave_thread_ended as *const () as u64
}

#[repr(C, align(64))]
struct AlignedState(ExtendedState);

/// What XRSTOR makes the initial state of.
static INITIAL_STATE: AlignedState = AlignedState(INITIAL_EXTENDED_STATE);
