//! What compiled Rust code expects of its surroundings where there is no C library.

use core::arch::{asm, global_asm};

/// Named by precompiled code of the standard library; nothing unwinds here.
// SAFETY: nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    fail()
}

/// As `rust_eh_personality`.
// SAFETY: nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    fail()
}

/// Faults, which stops the Keep.
fn fail() -> ! {
    // SAFETY: an instruction that does nothing but fault.
    unsafe { asm!("ud2", options(noreturn, nomem, nostack)) }
}

// The functions on memory that compilers call by themselves. String instructions are the
// fastest way for long ones on every processor with a TEE (ERMS).
global_asm!(
    ".section .text.memory,\"ax\"",
    ".globl memcpy",
    "memcpy:",
    "  mov rax, rdi",
    "  mov rcx, rdx",
    "  rep movsb",
    "  ret",
    ".globl memmove",
    "memmove:",
    "  mov rax, rdi",
    "  mov rcx, rdx",
    "  mov r8, rdi",
    "  sub r8, rsi",
    "  cmp r8, rdx",
    "  jb 1f",
    "  rep movsb",
    "  ret",
    "1: lea rdi, [rdi + rcx - 1]",
    "  lea rsi, [rsi + rcx - 1]",
    "  std",
    "  rep movsb",
    "  cld",
    "  ret",
    ".globl memset",
    "memset:",
    "  mov r8, rdi",
    "  mov eax, esi",
    "  mov rcx, rdx",
    "  rep stosb",
    "  mov rax, r8",
    "  ret",
    ".globl bcmp",
    ".globl memcmp",
    "bcmp:",
    "memcmp:",
    "  xor eax, eax",
    "  mov rcx, rdx",
    "  cmp rcx, rcx",
    "  repe cmpsb",
    "  je 2f",
    "  movzx eax, byte ptr [rdi - 1]",
    "  movzx ecx, byte ptr [rsi - 1]",
    "  sub eax, ecx",
    "2: ret",
    ".text",
);
