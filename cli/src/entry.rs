//! Where a static program begins: before the C library moves the program's addresses to where it
//! was loaded.

use std::arch::global_asm;

// The C library writes to each page with addresses, from its own table of initializers to the global offset
// table, and each is a fault that copies the page. One call (madvise(2), MADV_POPULATE_WRITE)
// has all copied in half the time. A kernel that knows no such call refuses it.
//
// What the kernel passed is left as it was: the stack, and rdx.
global_asm!(
    ".pushsection .text.enarx_entry, \"ax\", @progbits",
    ".globl enarx_entry",
    ".type enarx_entry, @function",
    "enarx_entry:",
    "mov r8, rdx",
    "lea rdi, [rip + __init_array_start]",
    "and rdi, -4096",
    "lea rsi, [rip + _GLOBAL_OFFSET_TABLE_]",
    "sub rsi, rdi",
    "mov edx, {populate_write}",
    "mov eax, {madvise}",
    "syscall",
    "mov rdx, r8",
    "jmp _start",
    ".size enarx_entry, . - enarx_entry",
    ".popsection",
    populate_write = const libc::MADV_POPULATE_WRITE,
    madvise = const libc::SYS_madvise,
);
