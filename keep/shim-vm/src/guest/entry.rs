//! How a virtual processor gets from its first instruction to compiled code.
//!
//! It starts in 32-bit protected mode without paging, with flat segments and nothing else that
//! is relied on; in ESI it has its index, unless it is the first. (SEV-SNP measures that state, and
//! TDX has a stub in front that makes it.) The first processor marks the page tables as the measured
//! platform wants it; until then, the others do not switch paging on. The boot page, which the host
//! writes, says in which ring the body runs; ring 3 is taken at its word only where no TEE protects
//! the machine: on the measured platform `kvm`, and where the host plays the TEE, which is measured too.

use core::arch::global_asm;

use enarx_wire_launch::{
    PAGE_SIZE, Platform,
    vm::{
        BodyRing, GuestInfo,
        layout::{self, window},
    },
};

use super::{
    main_thread, processor_page as page,
    tables::{self, SEGMENT_TABLE, SUPERVISOR_GATES, USER_GATES, bit, selector},
};
use crate::exceptions::NO_ADDRESS;

global_asm!(
    // Xen's ELF note "physical entry point", by which monitors find a PVH guest's entry.
    ".section .note.pvh,\"a\",@note",
    "  .balign 4",
    "  .long 4, 4, 18",
    "  .asciz \"Xen\"",
    "  .long guest_entry",
    //
    ".section .text.guest_entry,\"ax\"",
    ".code32",
    ".globl guest_entry",
    "guest_entry:",
    "  xor esi, esi",
    "  jmp 1f",
    ".org {THREAD_ENTRY}",
    "1: cld",
    "  cmp esi, {PROCESSORS}",
    "  jae guest_hang",
    // No two processors have one index, and so one stack.
    "  lock bts dword ptr [guest_taken], esi",
    "  jc guest_hang",
    "  test esi, esi",
    "  jz 2f",
    "  cmp byte ptr [guest_tables_marked], 1",
    "  jne guest_hang",
    "  jmp 8f",
    // Of what follows, EBX has the entries that get a mark, and EDX that mark: the upper half of one.
    "2: cmp dword ptr [{PLATFORM_TAG}], {TDX}",
    "  jne 2f",
    "  mov edx, {TDX_SHARED_PLAYED}",
    "  cmp dword ptr [{PLAYED}], 0",
    "  jne 3f",
    // The module has left the width of addresses in EBX, 48 or 52.
    "  lea ecx, [ebx - 33]",
    "  mov edx, 1",
    "  shl edx, cl",
    "3: mov [guest_shared_bit + 4], edx",
    "  mov ebx, {PRESENT_OR_SHARED}",
    "  jmp 6f",
    "2: cmp dword ptr [{PLATFORM_TAG}], {SNP}",
    "  jne 7f",
    "  mov edx, {SNP_PRIVATE}",
    "  cmp dword ptr [{PLAYED}], 0",
    "  je 3f",
    "  mov edx, {SNP_PRIVATE_PLAYED}",
    "3: mov [guest_private_bit + 4], edx",
    "  or [{TABLES} + 4], edx",
    "  or [{GIGABYTES} + 4], edx",
    "  mov ebx, {PRESENT}",
    "6: mov edi, {LARGE}",
    "  mov ebp, {LARGE_END}",
    "4: mov eax, [edi]",
    "  and eax, {PRESENT_OR_SHARED}",
    "  cmp eax, ebx",
    "  jne 5f",
    "  or [edi + 4], edx",
    "5: add edi, 8",
    "  cmp edi, ebp",
    "  jne 4b",
    "  cmp ebp, {SMALL_END}",
    "  je 7f",
    "  mov edi, {SMALL}",
    "  mov ebp, {SMALL_END}",
    "  jmp 4b",
    "7: mov byte ptr [guest_tables_marked], 1",
    "8:",
    // What is set already stays: machine checks in TDX.
    "  mov eax, cr4",
    "  or eax, {CR4}",
    "  mov cr4, eax",
    "  mov eax, {TABLES}",
    "  mov cr3, eax",
    // EFER: system calls, long mode, no-execute. Written only if that changes it.
    "  mov ecx, 0xC0000080",
    "  rdmsr",
    "  mov ebx, eax",
    "  or eax, 0x901",
    "  cmp eax, ebx",
    "  je 2f",
    "  wrmsr",
    // CR0: paging, alignment mask, write protection, numeric errors, protection.
    "2: mov eax, 0x80050033",
    "  mov cr0, eax",
    "  lgdt [guest_segments]",
    // A far jump to CODE:guest_entry_64.
    "  .byte 0xEA",
    "  .long guest_entry_64",
    "  .word {CODE}",
    //
    ".code64",
    "guest_entry_64:",
    "  mov eax, {DATA}",
    "  mov ss, eax",
    "  mov ds, eax",
    "  mov es, eax",
    "  imul ebx, esi, {WINDOW_SIZE}",
    "  add ebx, {WINDOWS}",
    "  lea rsp, [rbx + {STACK_END}]",
    "  lea r8, [rbx + {PROCESSOR_PAGE}]",
    "  mov [r8 + {STACK}], rsp",
    // The task state: the stack for exceptions, of ring 3 alone and of all; no ports.
    "  lea rax, [r8 + {FRAME_END}]",
    "  mov [r8 + {TASK_STATE} + 4], rax",
    "  mov [r8 + {TASK_STATE} + 36], rax",
    "  mov word ptr [r8 + {TASK_STATE} + 102], {TASK_STATE_SIZE}",
    "  shl esi, 4",
    "  lea eax, [rsi + {TASK}]",
    "  ltr ax",
    "  mov ecx, 0xC0000081",
    "  xor eax, eax",
    "  mov edx, {STAR}",
    "  wrmsr",
    // Flags that a system call clears: all that are not a result of arithmetic.
    "  mov ecx, 0xC0000084",
    "  mov eax, 0x47700",
    "  xor edx, edx",
    "  wrmsr",
    "  mov ecx, 0xC0000101",
    "  mov eax, r8d",
    "  wrmsr",
    // The boot page is looked at by the first processor alone.
    "  test esi, esi",
    "  jnz 3f",
    "  cmp word ptr [{BOOT_PAGE}], {USER}",
    "  jne 3f",
    "  cmp dword ptr [{PLATFORM_TAG}], {KVM}",
    "  je 9f",
    "  cmp dword ptr [{PLAYED}], 1",
    "  jne 3f",
    "9: mov byte ptr [rip + guest_body_in_ring_3], 1",
    "  or byte ptr [{TABLES}], 4",
    "  mov rax, cr3",
    "  mov cr3, rax",
    "3: mov ecx, 0xC0000082",
    "  xor edx, edx",
    "  cmp byte ptr [rip + guest_body_in_ring_3], 0",
    "  jne 5f",
    //
    // The body in ring 0. The runtime's GS has no base, and no page has faulted.
    "  mov eax, offset guest_system_call",
    "  wrmsr",
    "  lidt [rip + guest_supervisor_gates]",
    "  mov ecx, 0xC0000102",
    "  xor eax, eax",
    "  wrmsr",
    "  mov rax, {NO_ADDRESS}",
    "  mov cr2, rax",
    // XCR0: x87, SSE, AVX. In ring 3 it is the host's, which has them too.
    "  mov rax, cr4",
    "  bts rax, {OSXSAVE}",
    "  mov cr4, rax",
    "  xor ecx, ecx",
    "  mov eax, 7",
    "  xsetbv",
    // SMEP, SMAP and UMIP where the processor has them. (In a TEE this is an exception, which is
    // served from here on.)
    "  mov eax, 7",
    "  xor ecx, ecx",
    "  cpuid",
    "  mov rax, cr4",
    "  bt ebx, 7",
    "  jnc 4f",
    "  bts rax, 20",
    "4: bt ecx, 2",
    "  jnc 4f",
    "  bts rax, 11",
    "4: bt ebx, 20",
    "  jnc 4f",
    "  bts rax, 21",
    "  mov byte ptr [rip + guest_guards_access], 1",
    "4: mov cr4, rax",
    "  jmp guest_body",
    //
    // The body in ring 3: where its handler of exceptions goes on, and off to it.
    "5: mov eax, offset guest_user_system_call",
    "  wrmsr",
    "  lidt [rip + guest_user_gates]",
    "  lea rax, [rip + guest_user_exception]",
    "  mov [r8 + {BODY}], rax",
    "  mov qword ptr [r8 + {BODY} + 8], {USER_CODE}",
    "  mov qword ptr [r8 + {BODY} + 16], 2",
    "  mov [r8 + {BODY} + 24], rsp",
    "  mov qword ptr [r8 + {BODY} + 32], {USER_DATA}",
    "  mov rax, rsp",
    "  push {USER_DATA}",
    "  push rax",
    "  push 2",
    "  push {USER_CODE}",
    "  lea rax, [rip + guest_body]",
    "  push rax",
    "  iretq",
    "guest_body:",
    "  xor ebp, ebp",
    "  call {begin}",
    "guest_hang:",
    "  hlt",
    "  jmp guest_hang",
    //
    ".section .rodata.guest_entry,\"a\"",
    ".balign 8",
    "guest_segments:",
    "  .word {SEGMENTS_LIMIT}",
    "  .quad {SEGMENT_TABLE}",
    "guest_supervisor_gates:",
    "  .word {GATES_LIMIT}",
    "  .quad {SUPERVISOR_GATES}",
    "guest_user_gates:",
    "  .word {GATES_LIMIT}",
    "  .quad {USER_GATES}",
    ".data",
    "guest_body_in_ring_3: .byte 0",
    "guest_guards_access: .byte 0",
    "guest_tables_marked: .byte 0",
    ".balign 8",
    "guest_taken: .long 0, 0",
    "guest_private_bit: .quad 0",
    "guest_shared_bit: .quad 0",
    ".text",
    THREAD_ENTRY = const layout::THREAD_ENTRY - layout::ENTRY,
    CR4 = const cr4::AT_ENTRY,
    OSXSAVE = const cr4::OSXSAVE,
    TABLES = const tables::TABLES,
    GIGABYTES = const tables::GIGABYTES,
    LARGE = const tables::LARGE,
    LARGE_END = const tables::LARGE + 8 * layout::PRIVATE / tables::LARGE_PAGE,
    SMALL = const tables::SMALL,
    SMALL_END = const tables::SMALL + PAGE_SIZE as u64,
    PRESENT = const bit::PRESENT,
    PRESENT_OR_SHARED = const bit::PRESENT | bit::SHARED,
    SNP_PRIVATE = const layout::SNP_PRIVATE >> 32,
    SNP_PRIVATE_PLAYED = const layout::SNP_PRIVATE_PLAYED >> 32,
    TDX_SHARED_PLAYED = const layout::TDX_SHARED_PLAYED >> 32,
    CODE = const selector::CODE,
    DATA = const selector::DATA,
    USER_CODE = const selector::USER_CODE,
    USER_DATA = const selector::USER_DATA,
    TASK = const selector::TASK,
    STAR = const selector::STAR,
    PROCESSORS = const layout::PROCESSORS,
    WINDOWS = const layout::WINDOWS,
    WINDOW_SIZE = const layout::WINDOW_SIZE,
    STACK_END = const window::STACK_END,
    PROCESSOR_PAGE = const window::PROCESSOR_PAGE,
    STACK = const page::STACK,
    FRAME_END = const page::FRAME_END,
    NO_ADDRESS = const NO_ADDRESS,
    BODY = const page::BODY,
    TASK_STATE = const page::TASK_STATE,
    TASK_STATE_SIZE = const page::TASK_STATE_SIZE,
    BOOT_PAGE = const layout::BOOT_PAGE,
    PLATFORM_TAG = const layout::LAUNCH_PAGE + 12,
    PLAYED = const layout::INFO_PAGE + GuestInfo::PLAYED_OFFSET,
    USER = const BodyRing::User as u32,
    KVM = const Platform::Kvm as u32,
    SNP = const Platform::Snp as u32,
    TDX = const Platform::Tdx as u32,
    SEGMENTS_LIMIT = const tables::SEGMENTS_LIMIT,
    GATES_LIMIT = const tables::GATES_LIMIT,
    SEGMENT_TABLE = sym SEGMENT_TABLE,
    SUPERVISOR_GATES = sym SUPERVISOR_GATES,
    USER_GATES = sym USER_GATES,
    begin = sym main_thread::begin,
);

/// Bits of CR4 (Intel SDM volume 3A, 2.5).
mod cr4 {
    const PAE: u32 = 1 << 5;
    const OSFXSR: u32 = 1 << 9;
    const OSXMMEXCPT: u32 = 1 << 10;
    const FSGSBASE: u32 = 1 << 16;
    pub const AT_ENTRY: u32 = PAE | OSFXSR | OSXMMEXCPT | FSGSBASE;
    /// The number of the bit that permits XSAVE.
    pub const OSXSAVE: u32 = 18;
}

unsafe extern "C" {
    static guest_body_in_ring_3: u8;
    static guest_guards_access: u8;
    static guest_private_bit: u64;
    static guest_shared_bit: u64;
}

/// The bit of page tables' entries that names private memory; none where private is what has no bit.
pub fn private_bit() -> u64 {
    // SAFETY: written by the first processor's entry code alone, before any of this runs.
    unsafe { guest_private_bit }
}

/// The bit that names shared memory; none where shared is what has no bit.
pub fn shared_bit() -> u64 {
    // SAFETY: as in `private_bit`.
    unsafe { guest_shared_bit }
}

/// Whether the body runs in ring 3.
pub fn body_in_ring_3() -> bool {
    // SAFETY: written by the first processor's entry code alone, before any of this runs.
    unsafe { guest_body_in_ring_3 != 0 }
}

/// Whether the shim reaches the runtime's memory only when it says so (SMAP).
pub fn guards_access() -> bool {
    // SAFETY: written by the entry code before Rust code runs on that processor, always with
    // the same value.
    unsafe { guest_guards_access != 0 }
}
