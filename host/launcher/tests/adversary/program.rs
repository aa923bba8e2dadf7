//! The program that runs in the Keep: it holds a secret everywhere a program can hold one,
//! asks its kernel for a little of everything, and checks that nothing was changed.

use std::arch::global_asm;

use crate::elf::{Part, static_pie};

/// Eight bytes that exist in the enclave alone: what the host has are the factors.
pub const CANARY: u64 = FACTORS[0].wrapping_mul(FACTORS[1]);
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// How the program ends: all was as it should be.
pub const RIGHT: i32 = 7;
/// The kernel said that the host does not do something.
pub const DENIED: i32 = 8;

/// Each byte that is received is sent back with these bits turned over.
pub const TURNED: u8 = 0x5a;

/// What it writes to its diagnostics.
pub const DIAGNOSTICS: &[u8] = b"hello\nchild\n";

const DATA: usize = 4096;
const DATA_SIZE: usize = 4 * 4096;

/// Where the data say that CPUID is the shim's: four bytes.
const REFUSES_CPUID: usize = 56;

global_asm!(
    r#"
    .pushsection .rodata.adversary_program, "a", @progbits
    .balign 4096
adversary_program:
    mov rax, {factor}
    mov rcx, {other_factor}
    imul rax, rcx
    mov rbx, rax
    mov rbp, rax
    mov r12, rax
    mov r13, rax
    mov r14, rax
    mov r15, rax
    .irp at, 0, 8, 16, 24
    mov [rip + adversary_data + \at], rax
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vbroadcastsd ymm\n, qword ptr [rip + adversary_data]
    .endr
    // Rounding to zero.
    mov dword ptr [rip + adversary_data + 32], 0x7f80
    ldmxcsr [rip + adversary_data + 32]
    .rept 16
    push rax
    .endr

    // Diagnostics: write.
    mov eax, 1
    mov edi, 2
    lea rsi, [rip + .Lhello]
    mov edx, 6
    call .Lkernel
    cmp rax, 6
    jne .Lwrong

    // Time: clock_gettime, twice.
    .irp at, 64, 80
    mov eax, 228
    mov edi, 1
    lea rsi, [rip + adversary_data + \at]
    call .Lkernel
    test rax, rax
    jnz .Lwrong
    .endr
    mov rax, [rip + adversary_data + 80]
    sub rax, [rip + adversary_data + 64]
    js .Lwrong
    jnz 1f
    mov rax, [rip + adversary_data + 88]
    cmp rax, [rip + adversary_data + 72]
    jb .Lwrong
1:

    // Memory: mmap, page faults, mprotect to reading alone and back, munmap.
    mov eax, 9
    xor edi, edi
    mov esi, 0x8000
    mov edx, 3
    mov r10d, 0x22
    mov r8, -1
    xor r9d, r9d
    call .Lkernel
    cmp rax, -4096
    ja .Lwrong
    mov [rip + adversary_data + 96], rax
    mov [rax], rbx
    mov [rax + 0x7ff8], rbx
    mov rdi, rax
    mov esi, 0x8000
    mov edx, 1
    mov eax, 10
    call .Lkernel
    test rax, rax
    jnz .Lwrong
    mov rdi, [rip + adversary_data + 96]
    cmp [rdi], rbx
    jne .Lwrong
    cmp [rdi + 0x7ff8], rbx
    jne .Lwrong
    cmp qword ptr [rdi + 0x1000], 0
    jne .Lwrong
    mov esi, 0x8000
    mov edx, 3
    mov eax, 10
    call .Lkernel
    test rax, rax
    jnz .Lwrong
    mov rdi, [rip + adversary_data + 96]
    mov [rdi + 0x1000], rbx
    mov esi, 0x8000
    mov eax, 11
    call .Lkernel
    test rax, rax
    jnz .Lwrong

    // Random numbers: getrandom.
    mov eax, 318
    lea rdi, [rip + adversary_data + 128]
    mov esi, 32
    xor edx, edx
    call .Lkernel
    cmp rax, 32
    jne .Lwrong
    mov rax, [rip + adversary_data + 128]
    cmp rax, [rip + adversary_data + 136]
    je .Lwrong

    // The processor: no hypervisor is seen, whatever the host says.
    cmp dword ptr [rip + adversary_data + {refuses_cpuid}], 0
    je 6f
    mov eax, 1
    xor ecx, ecx
    cpuid
    mov rbx, rbp
    test ecx, ecx
    js .Lwrong
6:

    // The channel: read, after poll if there is nothing yet, and write what was read with some
    // bits turned over.
4:  xor eax, eax
    mov edi, 3
    lea rsi, [rip + adversary_data + 256]
    mov edx, 64
    call .Lkernel
    cmp rax, -11
    jne 5f
    mov dword ptr [rip + adversary_data + 48], 3
    mov dword ptr [rip + adversary_data + 52], 1
    mov eax, 7
    lea rdi, [rip + adversary_data + 48]
    mov esi, 1
    mov edx, -1
    call .Lkernel
    cmp rax, 1
    je 4b
    jmp .Ldenied
5:  test rax, rax
    jle .Ldenied
    cmp rax, 64
    ja .Lwrong
    mov [rip + adversary_data + 104], rax
    lea rsi, [rip + adversary_data + 256]
    mov [rip + adversary_data + 40], rsi
    lea rcx, [rsi + rax]
2:  xor byte ptr [rsi], {turned}
    inc rsi
    cmp rsi, rcx
    jb 2b
3:  mov eax, 1
    mov edi, 3
    mov rsi, [rip + adversary_data + 40]
    mov rdx, [rip + adversary_data + 104]
    call .Lkernel
    test rax, rax
    jle .Ldenied
    cmp rax, [rip + adversary_data + 104]
    ja .Lwrong
    add [rip + adversary_data + 40], rax
    sub [rip + adversary_data + 104], rax
    jnz 3b

    // A socket: socket, sendto, getsockname, epoll_create1, epoll_ctl, epoll_wait, recvfrom,
    // close.
    mov eax, 41
    mov edi, 2
    mov esi, 2
    xor edx, edx
    call .Lkernel
    test rax, rax
    js .Ldenied
    mov [rip + adversary_data + 144], rax
    mov dword ptr [rip + adversary_data + 160], 0x901f0002
    mov dword ptr [rip + adversary_data + 164], 0x0100007f
    mov eax, 44
    mov rdi, [rip + adversary_data + 144]
    lea rsi, [rip + adversary_data + 256]
    mov edx, 8
    xor r10d, r10d
    lea r8, [rip + adversary_data + 160]
    mov r9d, 16
    call .Lkernel
    test rax, rax
    js .Ldenied
    cmp rax, 8
    jne .Lwrong
    mov dword ptr [rip + adversary_data + 152], 16
    mov eax, 51
    mov rdi, [rip + adversary_data + 144]
    lea rsi, [rip + adversary_data + 160]
    lea rdx, [rip + adversary_data + 152]
    call .Lkernel
    test rax, rax
    js .Ldenied
    cmp dword ptr [rip + adversary_data + 152], 16
    jne .Lwrong
    cmp word ptr [rip + adversary_data + 160], 2
    jne .Lwrong
    mov eax, 291
    xor edi, edi
    call .Lkernel
    test rax, rax
    js .Lwrong
    mov [rip + adversary_data + 176], rax
    mov dword ptr [rip + adversary_data + 184], 0x80000005
    mov [rip + adversary_data + 188], rbx
    mov rdi, rax
    mov esi, 1
    mov rdx, [rip + adversary_data + 144]
    lea r10, [rip + adversary_data + 184]
    mov eax, 233
    call .Lkernel
    test rax, rax
    jnz .Lwrong
    mov eax, 232
    mov rdi, [rip + adversary_data + 176]
    lea rsi, [rip + adversary_data + 200]
    mov edx, 4
    mov r10d, 1000
    call .Lkernel
    test rax, rax
    js .Lwrong
    jz .Ldenied
    cmp rax, 1
    jne .Lwrong
    cmp [rip + adversary_data + 204], rbx
    jne .Lwrong
    mov eax, 45
    mov rdi, [rip + adversary_data + 144]
    lea rsi, [rip + adversary_data + 224]
    mov edx, 16
    mov r10d, 64
    lea r8, [rip + adversary_data + 160]
    lea r9, [rip + adversary_data + 152]
    call .Lkernel
    test rax, rax
    js .Ldenied
    cmp rax, 16
    ja .Lwrong
    mov eax, 3
    mov rdi, [rip + adversary_data + 144]
    call .Lkernel
    test rax, rax
    jnz .Lwrong

    // Evidence: a request for it over 64 zeros, and the answer.
    mov dword ptr [rip + adversary_data + 512], 2
    mov dword ptr [rip + adversary_data + 516], 64
    mov eax, 1
    mov edi, 4
    lea rsi, [rip + adversary_data + 512]
    mov edx, 72
    call .Lkernel
    cmp rax, 72
    jne .Lwrong
    xor eax, eax
    mov edi, 4
    lea rsi, [rip + adversary_data + 1024]
    mov edx, 3072
    call .Lkernel
    cmp rax, 8
    jl .Lwrong
    cmp dword ptr [rip + adversary_data + 1024], 0
    jne .Ldenied

    // A thread: clone, and a futex until it has ended.
    mov dword ptr [rip + adversary_data + 116], 1
    mov eax, 56
    mov edi, 0x3d0f00
    lea rsi, [rip + adversary_data + {data_size}]
    lea rdx, [rip + adversary_data + 112]
    lea r10, [rip + adversary_data + 116]
    xor r8d, r8d
    syscall
    test rax, rax
    jz .Lchild
    js .Ldenied
    cmp eax, [rip + adversary_data + 112]
    jne .Lwrong
4:  cmp dword ptr [rip + adversary_data + 116], 0
    je 5f
    mov eax, 202
    lea rdi, [rip + adversary_data + 116]
    mov esi, 128
    mov edx, 1
    xor r10d, r10d
    call .Lkernel
    jmp 4b
5:  cmp [rip + adversary_data + 120], rbx
    jne .Lwrong
    mov edi, {right}
    jmp .Lend

.Lchild:
    cmp dword ptr [rip + adversary_data + 112], 2
    jne .Lwrong
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vbroadcastsd ymm\n, qword ptr [rip + adversary_data]
    .endr
    ldmxcsr [rip + adversary_data + 32]
    mov [rip + adversary_data + 120], rbx
    mov eax, 1
    mov edi, 2
    lea rsi, [rip + .Lchild_text]
    mov edx, 6
    call .Lkernel
    cmp rax, 6
    jne .Lwrong
    mov eax, 60
    xor edi, edi
    syscall
    ud2

    // A system call, after which every register must still have its secret.
.Lkernel:
    syscall
    .irp register, rbx, rbp, r12, r13, r14, r15
    cmp \register, [rip + adversary_data]
    jne .Lwrong
    .endr
    // The last vector register helps to check the others; of itself it must have all bits.
    vptest ymm15, [rip + adversary_data]
    jnc .Lwrong
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
    vpxor ymm15, ymm\n, [rip + adversary_data]
    vptest ymm15, ymm15
    jnz .Lwrong
    .endr
    vbroadcastsd ymm15, qword ptr [rip + adversary_data]
    stmxcsr [rip + adversary_data + 36]
    cmp dword ptr [rip + adversary_data + 36], 0x7f80
    jne .Lwrong
    ret

.Ldenied:
    mov edi, {denied}
    jmp .Lend
.Lwrong:
    mov edi, 99
.Lend:
    mov eax, 231
    syscall
    ud2

.Lhello:
    .ascii "hello\n"
.Lchild_text:
    .ascii "child\n"
    .balign 4096
adversary_data:
    .skip {data_size}
    .popsection
    "#,
    factor = const FACTORS[0],
    other_factor = const FACTORS[1],
    turned = const TURNED,
    right = const RIGHT,
    denied = const DENIED,
    data_size = const DATA_SIZE,
    refuses_cpuid = const REFUSES_CPUID,
);

unsafe extern "C" {
    static adversary_program: u8;
}

/// The program as a static-PIE file: headers, code and data in segments of their own.
pub fn file() -> Vec<u8> {
    // SAFETY: the code and the data above, which never change here.
    let bytes =
        unsafe { std::slice::from_raw_parts(&raw const adversary_program, DATA + DATA_SIZE) };
    let mut bytes = bytes.to_vec();
    bytes[DATA + REFUSES_CPUID] = refuses_cpuid().into();
    let parts = [(5, DATA), (6, DATA_SIZE)].map(|(access, size)| Part {
        access,
        size: size as u64,
    });
    static_pie(&bytes, &parts)
}

/// Whether simulated enclaves refuse CPUID, as real ones do: processors have to help.
pub fn refuses_cpuid() -> bool {
    const SET_CPUID: libc::c_ulong = 0x1012;
    const ENABLED: libc::c_ulong = 1;
    // SAFETY: asks for what is so in any case.
    unsafe { libc::syscall(libc::SYS_arch_prctl, SET_CPUID, ENABLED) == 0 }
}
