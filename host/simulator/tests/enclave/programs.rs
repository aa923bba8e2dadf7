//! The code of the tests' enclaves.
//!
//! Each thread has, from its TCS: SSA frames at 1, 2 and 3 pages, and a stack that
//! ends at 6 pages.

use std::arch::global_asm;

global_asm!(
    r#"
    .pushsection .rodata.enclave_programs, "a", @progbits
    .balign 4096
    .globl programs_start, programs_end, program_monitor, program_preserve
    .globl snippet_syscall, snippet_int80, snippet_sysenter, snippet_cpuid, snippet_int3
    .globl snippet_int, snippet_ud2, snippet_divide, snippet_trap_flag, snippet_return
    .globl snippet_rdpmc, snippet_bases, snippet_enclu, snippet_leave, snippet_wait
    .hidden programs_start, programs_end, program_monitor, program_preserve
    .hidden snippet_syscall, snippet_int80, snippet_sysenter, snippet_cpuid, snippet_int3
    .hidden snippet_int, snippet_ud2, snippet_divide, snippet_trap_flag, snippet_return
    .hidden snippet_rdpmc, snippet_bases, snippet_enclu, snippet_leave, snippet_wait
programs_start:

    .macro expect register, value
    mov rax, \value
    cmp rax, \register
    jne .Lfailed_general
    .endm

    // Does what the host says in RSI, at any CSSA.
program_monitor:
    cld
    mov r11, rax
    shl r11, 10
    lea rsp, [rbx + 0x6000]
    sub rsp, r11
    mov r11, rax
    shl r11, 12
    add r11, rbx            // TCS + CSSA pages: the newest SSA frame in use, if there is one
    push rcx
    push r11
    cmp esi, 0
    je .Lsum
    cmp esi, 1
    je .Lreport
    cmp esi, 2
    je .Lskip
    cmp esi, 3
    je .Lread
    cmp esi, 4
    je .Lwrite
    cmp esi, 5
    je .Lcall
    cmp esi, 6
    je .Lleaf
    ud2

    // 0: RDX + R8, and RAX on entry.
.Lsum:
    lea rdi, [rdx + r8]
    mov rsi, rax
    jmp .Lexit

    // 1: EXITINFO, MADDR, ERRCD, RIP of the interrupted code.
.Lreport:
    mov edi, [r11 + 0x1000 - 184 + 160]
    mov rsi, [r11 + 0x1000 - 184 - 16]
    mov edx, [r11 + 0x1000 - 184 - 16 + 8]
    mov r8, [r11 + 0x1000 - 184 + 136]
    jmp .Lexit

    // 2: moves the interrupted code by RDX and sets its RAX to R8. Returns its RAX, RCX, R11, RSI.
.Lskip:
    add [r11 + 0x1000 - 184 + 136], rdx
    mov rdi, r8
    xchg rdi, [r11 + 0x1000 - 184]
    mov rsi, [r11 + 0x1000 - 184 + 8]
    mov rdx, [r11 + 0x1000 - 184 + 88]
    mov r8, [r11 + 0x1000 - 184 + 48]
    jmp .Lexit

    // 3: reads at RDX.
.Lread:
    mov rdi, [rdx]
    jmp .Lexit

    // 4: writes R8 at RDX.
.Lwrite:
    mov [rdx], r8
    jmp .Lexit

    // 5: calls RDX with R8 in RAX and marks in others. Returns RAX, RBX.
.Lcall:
    mov rax, r8
    mov ecx, 0x77
    mov r11d, 0x66
    call rdx
    mov rdi, rax
    mov rsi, rbx
    jmp .Lexit

    // 6: ENCLU with RDX in RAX, R8 in RBX, R9 in RCX, the word at RDI in RDX. Returns RAX, RFLAGS.
.Lleaf:
    mov rax, rdx
    mov rbx, r8
    mov rcx, r9
    mov rdx, [rdi]
    stc
snippet_enclu:
    enclu
    mov rdi, rax
    pushfq
    pop rsi

    // The host's stack may have moved since: URSP and URBP are in the current frame.
.Lexit:
    pop r11
    pop rbx
    mov rsp, [r11 + 0x2000 - 184 + 144]
    mov rbp, [r11 + 0x2000 - 184 + 152]
    mov eax, 4
    enclu
    ud2

    // EEXIT to RAX.
snippet_leave:
    mov rbx, rax
    mov eax, 4
    enclu
    ret

snippet_syscall:
    syscall
    ret
snippet_int80:
    int 0x80
    ret
snippet_sysenter:
    sysenter
    ret
snippet_cpuid:
    cpuid
    ret
snippet_int3:
    int3
    ret
snippet_int:
    int 0x44
    ret
snippet_ud2:
    ud2
    ret
snippet_divide:
    xor edx, edx
    div dl
    ret
snippet_rdpmc:
    rdpmc
    ret
snippet_trap_flag:
    pushfq
    or qword ptr [rsp], 0x100
    popfq
    nop
    nop
    pushfq
    pop rax
    ret
snippet_bases:
    rdfsbase rax
    rdgsbase rbx
    ret
    // Sets the word at RAX to 1 and waits for a 2.
snippet_wait:
    mov qword ptr [rax], 1
2:  pause
    cmp qword ptr [rax], 2
    jne 2b
    ret
snippet_return:
    mov eax, 0x5a
    ret

    // At CSSA 0: fills all registers, raises an exception, and says whether they came back.
    // At CSSA 1: destroys all of them and moves the interrupted code on.
program_preserve:
    test rax, rax
    jnz .Ldestroy
    lea r15, [rbx + 0x6000]
    mov [r15 - 24], rcx
    lea rsp, [r15 - 0x100]
    // MXCSR, x87 control word and a value on the x87 stack.
    mov dword ptr [r15 - 32], 0x7fa5
    ldmxcsr [r15 - 32]
    mov dword ptr [r15 - 36], 0x0b7f
    fninit
    fldcw [r15 - 36]
    fldpi
    fld1
    // YMM n: n * 0x0101... + 1 in every byte.
    xor eax, eax
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    mov eax, 0x01010101 * (\n + 1)
    vmovd xmm\n, eax
    vpbroadcastd ymm\n, xmm\n
    .endr
    // A mark below the stack pointer, where an asynchronous exit must not write.
    mov qword ptr [rsp - 128], 0x5eed
    // General registers.
    mov rbx, 0x1b1b1b1b00000003
    mov rcx, 0x1c1c1c1c00000001
    mov rdx, 0x1d1d1d1d00000002
    mov rbp, 0x1e1e1e1e00000005
    mov rsi, 0x1f1f1f1f00000006
    mov rdi, 0x2020202000000007
    mov r8, 0x2121212100000008
    mov r9, 0x2222222200000009
    mov r10, 0x232323230000000a
    mov r11, 0x242424240000000b
    mov r12, 0x252525250000000c
    mov r13, 0x262626260000000d
    mov r14, 0x272727270000000e
    // RFLAGS: CF, PF, AF, SF, OF, DF and not ZF.
    mov rax, 0xc97
    push rax
    popfq
    mov rax, 0x282828280000000f
    ud2
    pushfq
    cmp rax, [rip + .Lrax]
    mov eax, 1
    jne .Lfailed
    pop rax
    and eax, 0xcd5
    cmp eax, 0xc95
    mov eax, 2
    jne .Lfailed
    cld
    expect rbx, 0x1b1b1b1b00000003
    expect rcx, 0x1c1c1c1c00000001
    expect rdx, 0x1d1d1d1d00000002
    expect rbp, 0x1e1e1e1e00000005
    expect rsi, 0x1f1f1f1f00000006
    expect rdi, 0x2020202000000007
    expect r8, 0x2121212100000008
    expect r9, 0x2222222200000009
    expect r10, 0x232323230000000a
    expect r11, 0x242424240000000b
    expect r12, 0x252525250000000c
    expect r13, 0x262626260000000d
    expect r14, 0x272727270000000e
    lea rax, [r15 - 0x100]
    cmp rax, rsp
    jne .Lfailed_general
    cmp qword ptr [rsp - 128], 0x5eed
    mov eax, 4
    jne .Lfailed
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    mov eax, 0x01010101 * (\n + 1)
    vmovdqu [r15 - 0x80], ymm\n
    .irp word, 0, 4, 8, 12, 16, 20, 24, 28
    cmp eax, [r15 - 0x80 + \word]
    jne .Lfailed_vector
    .endr
    .endr
    stmxcsr [r15 - 32]
    cmp dword ptr [r15 - 32], 0x7fa5
    mov eax, 6
    jne .Lfailed
    fnstcw [r15 - 36]
    cmp word ptr [r15 - 36], 0x0b7f
    mov eax, 7
    jne .Lfailed
    fldpi
    fmulp
    fcomip st, st(1)
    mov eax, 8
    jne .Lfailed
    xor eax, eax
    jmp .Lfailed
.Lfailed_vector:
    mov eax, 5
    jmp .Lfailed
.Lfailed_general:
    mov eax, 3
.Lfailed:
    mov rdi, rax
    lea r15, [rip + programs_start]
    mov dword ptr [rsp - 4], 0x1f80
    ldmxcsr [rsp - 4]
    fninit
    mov rbx, gs:[0xfe8]
    mov rbp, gs:[0x2000 - 184 + 152 - 0x5000]
    mov rsp, gs:[0x2000 - 184 + 144 - 0x5000]
    mov eax, 4
    enclu
    ud2
.Lrax:
    .quad 0x282828280000000f

.Ldestroy:
    add qword ptr [rbx + 0x2000 - 184 + 136], 2
    mov edi, [rbx + 0x2000 - 184 + 160]
    vpcmpeqd ymm0, ymm0, ymm0
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqa ymm\n, ymm0
    .endr
    xor edx, edx
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    stmxcsr [rbx + 0x5000]
    mov esi, [rbx + 0x5000]
    fninit
    mov rbx, rcx
    mov eax, 4
    enclu
    ud2
programs_end:
    .popsection
    "#
);

unsafe extern "C" {
    safe static programs_start: u8;
    safe static programs_end: u8;
}

/// The names of places in the programs.
macro_rules! places {
    ($($name:ident = $symbol:ident),* $(,)?) => {
        $(
            pub fn $name() -> u64 {
                unsafe extern "C" {
                    safe static $symbol: u8;
                }
                &raw const $symbol as u64 - &raw const programs_start as u64
            }
        )*
    };
}

places! {
    monitor = program_monitor,
    preserve = program_preserve,
    syscall = snippet_syscall,
    int80 = snippet_int80,
    sysenter = snippet_sysenter,
    cpuid = snippet_cpuid,
    int3 = snippet_int3,
    int = snippet_int,
    ud2 = snippet_ud2,
    divide = snippet_divide,
    rdpmc = snippet_rdpmc,
    trap_flag = snippet_trap_flag,
    bases = snippet_bases,
    return_ = snippet_return,
    enclu = snippet_enclu,
    leave = snippet_leave,
    wait = snippet_wait,
}

/// The code of all programs, in whole pages.
pub fn pages() -> Vec<[u8; 4096]> {
    let start = &raw const programs_start;
    let length = &raw const programs_end as usize - start as usize;
    // SAFETY: what lies between the two symbols, which is never written.
    let code = unsafe { std::slice::from_raw_parts(start, length) };
    code.chunks(4096)
        .map(|chunk| {
            let mut page = [0; 4096];
            page[..chunk.len()].copy_from_slice(chunk);
            page
        })
        .collect()
}
