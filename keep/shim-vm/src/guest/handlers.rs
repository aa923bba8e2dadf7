//! Where the processor goes from the runtime into the shim, and how it comes back.
//!
//! Both ways in, SYSCALL and exceptions, save all registers in the processor's page, take the
//! shim's stack, and call [`serve`](super::serve::serve); the way back loads them again. Nothing
//! is nested: the shim itself causes no exceptions but those that stop the Keep, and one kind that
//! is over at once, when this processor remembers an access that another one has changed since.
//!
//! Where the body runs in ring 3, a handler's first instructions do no more than go there, since
//! each of them is emulated; and SYSCALL may or may not have entered ring 0.

use core::arch::global_asm;

use enarx_keep_shim::Registers;
use enarx_wire_launch::vm::layout;

use super::{
    processor_page as page, serve,
    tables::{self, selector},
};

/// The ways into the shim, as `serve` is told.
pub mod way {
    pub const SYSTEM_CALL: u32 = 0;
    pub const EXCEPTION: u32 = 1;
}

global_asm!(
    ".section .text.guest_entry,\"ax\"",
    ".altmacro",
    // Brings the frame into its form: those exceptions that have no error code get one.
    ".macro guest_frame vector",
    "  .if (\\vector == 8) || ((\\vector >= 10) && (\\vector <= 14)) || (\\vector == 17) || (\\vector == 21) || (\\vector == 29) || (\\vector == 30)",
    "  .else",
    "    push 0",
    "  .endif",
    "  push \\vector",
    ".endm",
    ".macro guest_supervisor_handler vector",
    "  .balign {HANDLER_SIZE}",
    "  guest_frame \\vector",
    "  jmp guest_exception",
    ".endm",
    ".macro guest_user_handler vector",
    "  .balign {HANDLER_SIZE}",
    "  .if \\vector == 3",
    "    jmp guest_user_breakpoint",
    "  .else",
    "    guest_frame \\vector",
    "    push rax",
    "    mov rax, cr2",
    "    push rax",
    "    add rsp, {FRAME_SIZE}",
    "    iretq",
    "  .endif",
    ".endm",
    ".org {HANDLERS}",
    ".set guest_vector, 0",
    ".rept {EXCEPTIONS}",
    "  guest_supervisor_handler %guest_vector",
    "  .set guest_vector, guest_vector + 1",
    ".endr",
    ".org {USER_HANDLERS}",
    ".set guest_vector, 0",
    ".rept {EXCEPTIONS}",
    "  guest_user_handler %guest_vector",
    "  .set guest_vector, guest_vector + 1",
    ".endr",
    ".balign 16",
    //
    // An exception, in ring 0. On the stack: the vector, the code, and what IRETQ takes.
    "guest_exception:",
    "  push rax",
    "  mov rax, cr2",
    "  push rax",
    "  test byte ptr [rsp + 40], 3",
    "  jz 1f",
    "  swapgs",
    "  mov rsp, gs:[{STACK}]",
    "  jmp guest_save_exception",
    // The shim's own. It may be that of an access to the runtime's memory which the tables
    // permit by now; the second time at the same place it is not.
    "1: cmp dword ptr [rsp + 16], 14",
    "  jne 2f",
    "  test dword ptr [rsp + 4], {RUNTIME_MASK}",
    "  jz 2f",
    "  cmp gs:[{FAULTED}], rax",
    "  je 2f",
    "  mov gs:[{FAULTED}], rax",
    "  invlpg [rax]",
    "  add rsp, 8",
    "  pop rax",
    "  add rsp, 16",
    "  iretq",
    "2: cld",
    "  and rsp, -16",
    "  call {failed}",
    "  ud2",
    //
    // INT3 where the body runs in ring 3: the shim's own forgets translations of addresses.
    "guest_user_breakpoint:",
    "  cmp qword ptr [rsp], offset guest_user_forgotten",
    "  je 5f",
    "  push 0",
    "  push 3",
    "  push rax",
    "  sub rsp, 8",
    "  add rsp, {FRAME_SIZE}",
    "  iretq",
    "5: push rax",
    "  mov rax, cr3",
    "  mov cr3, rax",
    "  pop rax",
    "  iretq",
    //
    // fn guest_user_forget()
    ".globl guest_user_forget",
    "guest_user_forget:",
    "  int3",
    "guest_user_forgotten:",
    "  ret",
    //
    // In ring 3 after an exception; the stack is the shim's already.
    "guest_user_exception:",
    "guest_save_exception:",
    "  mov rax, gs:[{FRAME_RAX}]",
    "  mov gs:[{RAX}], rax",
    "  mov gs:[{RCX}], rcx",
    "  mov gs:[{R11}], r11",
    "  mov rax, gs:[{FRAME_RIP}]",
    "  mov gs:[{RIP}], rax",
    "  mov rax, gs:[{FRAME_RFLAGS}]",
    "  mov gs:[{RFLAGS}], rax",
    "  mov rax, gs:[{FRAME_RSP}]",
    "  mov gs:[{RSP}], rax",
    "  mov eax, {EXCEPTION}",
    "  jmp guest_save",
    //
    // SYSCALL where the body runs in ring 3. Which ring this is, depends on how it was emulated.
    ".globl guest_user_system_call",
    "guest_user_system_call:",
    "  mov gs:[{RSP}], rsp",
    "  mov gs:[{RCX}], rcx",
    "  mov ecx, cs",
    "  test cl, 3",
    "  jnz 6f",
    "  lea rcx, [rip + 6f]",
    "  sysretq",
    "6: mov rcx, gs:[{RCX}]",
    "  mov rsp, gs:[{STACK}]",
    "  jmp 7f",
    //
    // SYSCALL where the body runs in ring 0.
    ".globl guest_system_call",
    "guest_system_call:",
    "  swapgs",
    "  mov gs:[{RSP}], rsp",
    "  mov rsp, gs:[{STACK}]",
    "7: mov gs:[{RAX}], rax",
    "  mov gs:[{RCX}], rcx",
    "  mov gs:[{RIP}], rcx",
    "  mov gs:[{R11}], r11",
    "  mov gs:[{RFLAGS}], r11",
    "  mov eax, {SYSTEM_CALL}",
    //
    "guest_save:",
    "  mov gs:[{RDX}], rdx",
    "  mov gs:[{RBX}], rbx",
    "  mov gs:[{RBP}], rbp",
    "  mov gs:[{RSI}], rsi",
    "  mov gs:[{RDI}], rdi",
    "  mov gs:[{R8}], r8",
    "  mov gs:[{R9}], r9",
    "  mov gs:[{R10}], r10",
    "  mov gs:[{R12}], r12",
    "  mov gs:[{R13}], r13",
    "  mov gs:[{R14}], r14",
    "  mov gs:[{R15}], r15",
    "  mov edi, eax",
    "  rdfsbase rax",
    "  mov gs:[{FS_BASE}], rax",
    "  cld",
    "  mov eax, 7",
    "  xor edx, edx",
    "  xsave64 gs:[{EXTENDED}]",
    "  xor ebp, ebp",
    "  call {serve}",
    //
    // fn guest_go() -> !: goes on as the runtime, with what is in the processor's page.
    ".globl guest_go",
    "guest_go:",
    "  mov rsp, gs:[{STACK}]",
    "  mov eax, 7",
    "  xor edx, edx",
    "  xrstor64 gs:[{EXTENDED}]",
    "  mov rax, gs:[{FS_BASE}]",
    "  wrfsbase rax",
    "  push {USER_DATA}",
    "  push qword ptr gs:[{RSP}]",
    "  push qword ptr gs:[{RFLAGS}]",
    "  push {USER_CODE}",
    "  push qword ptr gs:[{RIP}]",
    "  mov rcx, gs:[{RCX}]",
    "  mov rdx, gs:[{RDX}]",
    "  mov rbx, gs:[{RBX}]",
    "  mov rbp, gs:[{RBP}]",
    "  mov rsi, gs:[{RSI}]",
    "  mov rdi, gs:[{RDI}]",
    "  mov r8, gs:[{R8}]",
    "  mov r9, gs:[{R9}]",
    "  mov r10, gs:[{R10}]",
    "  mov r11, gs:[{R11}]",
    "  mov r12, gs:[{R12}]",
    "  mov r13, gs:[{R13}]",
    "  mov r14, gs:[{R14}]",
    "  mov r15, gs:[{R15}]",
    "  mov rax, gs:[{RAX}]",
    "  cmp byte ptr [rip + guest_body_in_ring_3], 0",
    "  jne 8f",
    "  swapgs",
    "8: iretq",
    ".text",
    HANDLER_SIZE = const tables::HANDLER_SIZE,
    HANDLERS = const tables::SUPERVISOR_HANDLERS - layout::SHIM,
    USER_HANDLERS = const tables::USER_HANDLERS - layout::SHIM,
    EXCEPTIONS = const tables::EXCEPTIONS,
    USER_CODE = const selector::USER_CODE,
    USER_DATA = const selector::USER_DATA,
    // Of the upper half of an address, the bits that those of the runtime's memory have.
    RUNTIME_MASK = const !(layout::RUNTIME - 1) >> 32,
    STACK = const page::STACK,
    FAULTED = const page::FAULTED,
    EXTENDED = const page::EXTENDED,
    FRAME_SIZE = const page::FRAME_SIZE,
    FRAME_RAX = const page::FRAME_RAX,
    FRAME_RIP = const page::FRAME_RIP,
    FRAME_RFLAGS = const page::FRAME_RFLAGS,
    FRAME_RSP = const page::FRAME_RSP,
    RAX = const page::REGISTERS + core::mem::offset_of!(Registers, rax),
    RCX = const page::REGISTERS + core::mem::offset_of!(Registers, rcx),
    RDX = const page::REGISTERS + core::mem::offset_of!(Registers, rdx),
    RBX = const page::REGISTERS + core::mem::offset_of!(Registers, rbx),
    RSP = const page::REGISTERS + core::mem::offset_of!(Registers, rsp),
    RBP = const page::REGISTERS + core::mem::offset_of!(Registers, rbp),
    RSI = const page::REGISTERS + core::mem::offset_of!(Registers, rsi),
    RDI = const page::REGISTERS + core::mem::offset_of!(Registers, rdi),
    R8 = const page::REGISTERS + core::mem::offset_of!(Registers, r8),
    R9 = const page::REGISTERS + core::mem::offset_of!(Registers, r9),
    R10 = const page::REGISTERS + core::mem::offset_of!(Registers, r10),
    R11 = const page::REGISTERS + core::mem::offset_of!(Registers, r11),
    R12 = const page::REGISTERS + core::mem::offset_of!(Registers, r12),
    R13 = const page::REGISTERS + core::mem::offset_of!(Registers, r13),
    R14 = const page::REGISTERS + core::mem::offset_of!(Registers, r14),
    R15 = const page::REGISTERS + core::mem::offset_of!(Registers, r15),
    RFLAGS = const page::REGISTERS + core::mem::offset_of!(Registers, rflags),
    RIP = const page::REGISTERS + core::mem::offset_of!(Registers, rip),
    FS_BASE = const page::REGISTERS + core::mem::offset_of!(Registers, fs_base),
    SYSTEM_CALL = const way::SYSTEM_CALL,
    EXCEPTION = const way::EXCEPTION,
    serve = sym serve::serve,
    failed = sym serve::failed,
);

unsafe extern "C" {
    /// Goes on as the runtime, with the registers and the extended state in this processor's
    /// page, which must be those of a program in user memory.
    pub fn guest_go() -> !;

    /// Forgets translations of addresses, where the body runs in ring 3.
    pub safe fn guest_user_forget();
}
