//! The runtime of the hostile hosts' Keeps.

use std::arch::global_asm;

use enarx_host_image::shim_vm;
use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::vm::file_digest;
use enarx_wire_launch::{KeepImage, SgxImage, VmImage};

use crate::kvm::elf::{Part, static_pie};

/// What the program keeps in private memory, and nobody else may see. Its file has the complement.
pub const CANARY: u64 = 0x5EC2_E7C0_FFEE_D00D;

/// Its status if all was right.
pub const RIGHT: i32 = 7;

/// Its status if it was refused something that a host can refuse.
pub const DENIED: i32 = 9;

/// Its status if evidence is not what it was when it was made.
pub const FORGED: i32 = 8;

/// What it tells its host's operator.
pub const DIAGNOSTICS: &str = "hello";

/// Reports that it asks for; each for report data that begins with how many are left.
pub const REPORTS: u8 = 2;

/// How often it uses memory and gives it back.
pub const ROUNDS: u32 = 3;

/// Bytes of a report, and what is in all of them behind the report data.
pub const REPORT_SIZE: usize = 1184;
pub const REPORT_BYTE: u8 = 0xAB;

// Uses memory and gives it back, if it is told to; then fills 3 MiB with the canary, asks for reports, echoes a byte of the channel, and looks whether all
// is as it left it.
global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "enarx_adversary_program:",
    "mov r12, {NOT_CANARY}",
    "not r12",
    "push r12",
    "sub rsp, 4096",
    "mov r14d, {ROUNDS}",
    "mov r15d, [rip + enarx_adversary_given_back]",
    "test r15d, r15d",
    "jz 24f",
    "21: mov rsi, r15",
    "call 25f",
    "mov rcx, r15",
    "22: sub rcx, 512",
    "jl 23f",
    "cmp qword ptr [r13 + rcx], 0",
    "jne 8f",
    "mov [r13 + rcx], r12",
    "jmp 22b",
    // munmap
    "23: mov eax, 11",
    "mov rdi, r13",
    "mov rsi, r15",
    "syscall",
    "dec r14d",
    "jnz 21b",
    "24: mov esi, {SIZE}",
    "call 25f",
    "xor ecx, ecx",
    "2: mov [r13 + rcx], r12",
    "add rcx, 4096",
    "cmp rcx, {SIZE}",
    "jb 2b",
    // write(2, ...)
    "mov eax, 1",
    "mov edi, 2",
    "lea rsi, [rip + 9f]",
    "mov edx, 5",
    "syscall",
    "mov r14d, {REPORTS}",
    // A request of the attestation device: evidence, 64 bytes.
    "3: mov dword ptr [rsp], 2",
    "mov dword ptr [rsp + 4], {REPORT_DATA_SIZE}",
    "mov [rsp + 8], r14",
    "mov eax, 1",
    "mov edi, 4",
    "mov rsi, rsp",
    "mov edx, 8 + {REPORT_DATA_SIZE}",
    "syscall",
    "cmp rax, 8 + {REPORT_DATA_SIZE}",
    "jne 7f",
    "xor eax, eax",
    "mov edi, 4",
    "mov rsi, rsp",
    "mov edx, 2048",
    "syscall",
    "cmp rax, 8",
    "je 7f",
    "cmp rax, 8 + {REPORT_SIZE}",
    "jne 6f",
    "cmp [rsp + 8], r14b",
    "jne 6f",
    "cmp byte ptr [rsp + 8 + {REPORT_DATA_SIZE}], {REPORT_BYTE}",
    "jne 6f",
    "cmp byte ptr [rsp + 7 + {REPORT_SIZE}], {REPORT_BYTE}",
    "jne 6f",
    "dec r14d",
    "jnz 3b",
    // read(3, ...), write(3, ...)
    "xor eax, eax",
    "mov edi, 3",
    "mov rsi, rsp",
    "mov edx, 1",
    "syscall",
    "cmp rax, 1",
    "jne 7f",
    "mov eax, 1",
    "mov edi, 3",
    "mov rsi, rsp",
    "mov edx, 1",
    "syscall",
    "cmp rax, 1",
    "jne 7f",
    "xor ecx, ecx",
    "4: cmp [r13 + rcx], r12",
    "jne 8f",
    "add rcx, 4096",
    "cmp rcx, {SIZE}",
    "jb 4b",
    "cmp [rsp + 4096], r12",
    "jne 8f",
    "mov edi, {RIGHT}",
    "jmp 5f",
    "6: mov edi, {FORGED}",
    "jmp 5f",
    "7: mov edi, {DENIED}",
    "jmp 5f",
    "8: mov edi, 1",
    "5: mov eax, 231",
    "syscall",
    // mmap of RSI bytes; their address goes to R13.
    "25: mov eax, 9",
    "xor edi, edi",
    "mov edx, 3",
    "mov r10d, 0x22",
    "mov r8, -1",
    "xor r9d, r9d",
    "syscall",
    "mov r13, rax",
    "ret",
    "9: .ascii \"hello\"",
    "enarx_adversary_given_back: .long 0",
    "enarx_adversary_program_end:",
    ".popsection",
    NOT_CANARY = const !CANARY,
    SIZE = const 3 << 20,
    ROUNDS = const ROUNDS,
    REPORTS = const REPORTS,
    REPORT_SIZE = const REPORT_SIZE,
    REPORT_BYTE = const REPORT_BYTE,
    REPORT_DATA_SIZE = const REPORT_DATA_SIZE,
    RIGHT = const RIGHT,
    DENIED = const DENIED,
    FORGED = const FORGED,
);

unsafe extern "C" {
    static enarx_adversary_program: u8;
    static enarx_adversary_given_back: u8;
    static enarx_adversary_program_end: u8;
}

/// The program's file. It uses so many bytes before all else, and gives them back.
pub fn file(given_back: u32) -> Vec<u8> {
    let start = &raw const enarx_adversary_program;
    let from_start = |symbol: *const u8| symbol.addr() - start.addr();
    let length = from_start(&raw const enarx_adversary_program_end);
    // SAFETY: both symbols are defined above, around bytes that never change.
    let mut code = unsafe { std::slice::from_raw_parts(start, length) }.to_vec();
    let at = from_start(&raw const enarx_adversary_given_back);
    code[at..at + 4].copy_from_slice(&given_back.to_le_bytes());
    let size = code.len() as u64;
    static_pie(&code, &[Part { access: 5, size }])
}

/// The image of a Keep with this runtime.
pub fn image(runtime: &[u8]) -> KeepImage<'_> {
    KeepImage {
        runtime,
        runtime_digest: [1; 48],
        sgx: SgxImage::default(),
        vm: VmImage {
            shim: shim_vm(),
            runtime_file_digest: file_digest(runtime),
        },
    }
}
