//! The program in the Keep: it does what it is ordered to over the channel.

use std::arch::global_asm;

use super::elf::{Part, static_pie};

/// What it can do.
#[derive(Clone, Copy)]
pub enum Work {
    /// It ends.
    End = 0,
    /// It asks for the time so many times.
    Inside = 1,
    /// It reads so many times where there is nothing.
    Proxied = 2,
}

impl Work {
    /// The order that goes into the channel.
    pub fn order(self, count: u64) -> [u8; 16] {
        let mut order = [0; 16];
        order[0] = self as u8;
        order[8..].copy_from_slice(&count.to_le_bytes());
        order
    }
}

const DATA: usize = 4096;
const DATA_SIZE: usize = 4096;

global_asm!(
    r#"
    .pushsection .rodata.bench_program, "a", @progbits
    .balign 4096
enarx_bench_program:
    // poll() until there is an order; read(3, order, 16): it comes whole.
1:  mov dword ptr [rip + enarx_bench_data + 128], 3
    mov dword ptr [rip + enarx_bench_data + 132], 1
    mov eax, 7
    lea rdi, [rip + enarx_bench_data + 128]
    mov esi, 1
    mov edx, -1
    syscall
    cmp rax, 1
    jne 8f
    xor eax, eax
    mov edi, 3
    lea rsi, [rip + enarx_bench_data]
    mov edx, 16
    syscall
    cmp rax, 16
    jne 8f
    mov r12, [rip + enarx_bench_data]
    mov r13, [rip + enarx_bench_data + 8]
    xor edi, edi
    test r12, r12
    jz 9f
    cmp r12, 2
    je 4f
    // clock_gettime(CLOCK_MONOTONIC, data)
2:  mov eax, 228
    mov edi, 1
    lea rsi, [rip + enarx_bench_data + 64]
    syscall
    test rax, rax
    jnz 8f
    dec r13
    jnz 2b
    jmp 6f
    // read(3, data, 16) that gives EAGAIN.
4:  xor eax, eax
    mov edi, 3
    lea rsi, [rip + enarx_bench_data + 64]
    mov edx, 16
    syscall
    cmp rax, -11
    jne 8f
    dec r13
    jnz 4b
    // write(3, data, 8)
6:  mov eax, 1
    mov edi, 3
    lea rsi, [rip + enarx_bench_data]
    mov edx, 8
    syscall
    cmp rax, 8
    je 1b
    jmp 8f
8:  mov edi, 9
    // exit_group
9:  mov eax, 231
    syscall
    ud2
    .balign 4096
enarx_bench_data:
    .skip {data_size}
    .popsection
    "#,
    data_size = const DATA_SIZE,
);

unsafe extern "C" {
    static enarx_bench_program: u8;
}

/// The program as a static-PIE file.
pub fn file() -> Vec<u8> {
    // SAFETY: the code and the data above, which never change here.
    let bytes =
        unsafe { std::slice::from_raw_parts(&raw const enarx_bench_program, DATA + DATA_SIZE) };
    let parts = [(5, DATA), (6, DATA_SIZE)].map(|(access, size)| Part {
        access,
        size: size as u64,
    });
    static_pie(bytes, &parts)
}
