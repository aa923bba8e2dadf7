//! The instructions between the host and the enclave.
//!
//! - `enter` has the ABI of `__vdso_sgx_enter_enclave` and executes EENTER and ERESUME
//!   without a signal: it loads the state that [`super::entry`] prepared and jumps.
//! - `on_signal` is the handler of all signals by which enclaves leave. It finds
//!   out whether the thread was inside, brings back the host's segment bases, and
//!   only then calls Rust.
//! - From the first instruction that changes a segment base until the last that brings it
//!   back, `is_inside` is set, so that a signal in between does not reach code that needs
//!   the host's.
//! - `return_from_signal` ends handlers. It is the one place from which
//!   system calls are always possible, even with the selector at "block".

use std::arch::global_asm;
use std::ffi::c_int;
use std::mem::offset_of;
use std::sync::atomic::AtomicU64;

use super::context::{ALLOW, BLOCK, Context, ResumedRegisters};
use super::entry::{self, SgxEnclaveRun};
use super::signal;
use super::thread::{STACK_SIZE, STACKS_SIZE};

/// `__vdso_sgx_enter_enclave`: RDI, RSI, RDX, the leaf function in ECX, R8, R9, and the run
/// structure on the stack.
///
/// As with the vDSO's function, only RBX, RBP and the stack pointer are sure to
/// come back: R12 to R15, the direction flag and the extended state are what the
/// enclave leaves, or zero after an asynchronous exit. So it must be called from
/// assembly that saves them.
pub type EnterFunction = unsafe extern "C" fn(
    rdi: u64,
    rsi: u64,
    rdx: u64,
    leaf: u32,
    r8: u64,
    r9: u64,
    run: *mut SgxEnclaveRun,
) -> c_int;

/// Where the signal stacks of all attached threads begin; 0 before there are any.
pub(super) static STACKS_START: AtomicU64 = AtomicU64::new(0);

const _: () = assert!(offset_of!(ResumedRegisters, rip) == 15 * 8);

global_asm!(
    r#"
    .pushsection .text.enarx_simulated_enclu, "ax", @progbits

    .globl enarx_simulator_sgx_enter
    .hidden enarx_simulator_sgx_enter
    .globl enarx_simulator_sgx_after_exception
    .hidden enarx_simulator_sgx_after_exception
    .globl enarx_simulator_sgx_after_interrupt
    .hidden enarx_simulator_sgx_after_interrupt
    .globl enarx_simulator_sgx_on_signal
    .hidden enarx_simulator_sgx_on_signal
    .globl enarx_simulator_sgx_return_from_signal
    .hidden enarx_simulator_sgx_return_from_signal
    .globl enarx_simulator_sgx_after_return_from_signal
    .hidden enarx_simulator_sgx_after_return_from_signal

    .globl enarx_simulator_sgx_start
    .hidden enarx_simulator_sgx_start
    .globl enarx_simulator_sgx_end
    .hidden enarx_simulator_sgx_end

    .balign 16
enarx_simulator_sgx_start:
enarx_simulator_sgx_enter:
    push rbp
    mov rbp, rsp
    push rbx
.Lenclu:
    push r9
    push r8
    push rdx
    push rsi
    push rdi
    mov edi, ecx
    mov rsi, [rbp + 16]
    mov rdx, rbp
    call {prepare}
    test rax, rax
    jz .Lrefused
    mov r10, rax
    cmp byte ptr [r10 + {is_resuming}], 0
    jne .Lresume

    pop rdi
    pop rsi
    pop rdx
    pop r8
    pop r9
    mov byte ptr [r10 + {is_inside}], 1
    mov rax, [r10 + {next_fs_base}]
    wrfsbase rax
    mov rax, [r10 + {next_gs_base}]
    wrgsbase rax
    mov rax, [r10 + {current_frame}]
    mov rbx, [r10 + {tcs_address}]
    lea rcx, [rip + .Lafter_enclu]
    mov byte ptr [r10 + {selector}], {block}
    cmp qword ptr [r10 + {entry_flags}], 0
    jne .Lflagged
    jmp qword ptr [r10 + {target}]

    // The jump is the one instruction that the trap flag does not stop at.
.Lflagged:
    pushfq
    mov r11, [r10 + {entry_flags}]
    or [rsp], r11
    popfq
    jmp qword ptr [r10 + {target}]

.Lresume:
    mov rax, [r10 + {xfrm}]
    xor edx, edx
    xrstor64 [r10 + {xsave}]
    mov byte ptr [r10 + {is_inside}], 1
    mov rax, [r10 + {next_fs_base}]
    wrfsbase rax
    mov rax, [r10 + {next_gs_base}]
    wrgsbase rax
    mov byte ptr [r10 + {selector}], {block}
    lea rsp, [r10 + {resumed}]
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    iretq

.Lafter_enclu:
    mov rbx, [rbp + 16]
    mov dword ptr [rbx + {function}], {eexit}
    xor eax, eax
    pop rbx
    leave
    ret

    // What the kernel does to the vDSO's caller when an exception ended ENCLU: leaf in EAX,
    // vector in DI, error code in SI, address in RDX.
enarx_simulator_sgx_after_exception:
    mov rbx, [rbp + 16]
    mov [rbx + {function}], eax
    mov [rbx + {vector}], di
    mov [rbx + {error_code}], si
    mov [rbx + {address}], rdx
    xor eax, eax
    pop rbx
    leave
    ret

    // The asynchronous exit pointer: ENCLU with the leaf function that AEX left in RAX.
enarx_simulator_sgx_after_interrupt:
    mov ecx, eax
    jmp .Lenclu

.Lrefused:
    mov eax, edx
    lea rsp, [rbp - 8]
    pop rbx
    leave
    ret

    .balign 16
enarx_simulator_sgx_on_signal:
    // The enclave may have set the alignment check flag.
    push 2
    popfq
    mov rax, rsp
    sub rax, [rip + {stacks_start}]
    cmp rax, {stacks_size}
    jae .Lin_host
    mov rcx, rsp
    and rcx, -{stack_size}
    cmp byte ptr [rcx + {is_inside}], 0
    je .Lin_host

    // The bases stay on the stack: another signal may come before the handler has ended.
    push rbx
    mov rbx, rcx
    rdfsbase r8
    push r8
    rdgsbase r9
    push r9
    mov rax, [rbx + {host_fs_base}]
    wrfsbase rax
    mov rax, [rbx + {host_gs_base}]
    wrgsbase rax
    mov byte ptr [rbx + {selector}], {allow}
    mov byte ptr [rbx + {is_inside}], 0
    call {in_enclave}
    test eax, eax
    jz .Lleft
    mov byte ptr [rbx + {is_inside}], 1
    mov rax, [rsp]
    wrgsbase rax
    mov rax, [rsp + 8]
    wrfsbase rax
    mov byte ptr [rbx + {selector}], {block}
.Lleft:
    add rsp, 16
    pop rbx
    ret

.Lin_host:
    sub rsp, 8
    call {in_host}
    add rsp, 8
    ret

    .balign 16
enarx_simulator_sgx_return_from_signal:
    mov eax, {rt_sigreturn}
    syscall
enarx_simulator_sgx_after_return_from_signal:
    ud2
enarx_simulator_sgx_end:

    .popsection
    "#,
    prepare = sym entry::prepare,
    in_enclave = sym signal::in_enclave,
    in_host = sym signal::in_host,
    stacks_start = sym STACKS_START,
    stacks_size = const STACKS_SIZE,
    stack_size = const STACK_SIZE,
    xsave = const offset_of!(Context, xsave),
    resumed = const offset_of!(Context, resumed),
    host_fs_base = const offset_of!(Context, host_fs_base),
    host_gs_base = const offset_of!(Context, host_gs_base),
    next_fs_base = const offset_of!(Context, next_fs_base),
    next_gs_base = const offset_of!(Context, next_gs_base),
    target = const offset_of!(Context, target),
    tcs_address = const offset_of!(Context, tcs_address),
    entry_flags = const offset_of!(Context, entry_flags),
    current_frame = const offset_of!(Context, current_frame),
    xfrm = const offset_of!(Context, xfrm),
    selector = const offset_of!(Context, selector),
    is_inside = const offset_of!(Context, is_inside),
    is_resuming = const offset_of!(Context, is_resuming),
    function = const offset_of!(SgxEnclaveRun, function),
    vector = const offset_of!(SgxEnclaveRun, exception_vector),
    error_code = const offset_of!(SgxEnclaveRun, exception_error_code),
    address = const offset_of!(SgxEnclaveRun, exception_addr),
    eexit = const entry::EEXIT,
    allow = const ALLOW,
    block = const BLOCK,
    rt_sigreturn = const libc::SYS_rt_sigreturn,
);

unsafe extern "C" {
    fn enarx_simulator_sgx_enter(
        rdi: u64,
        rsi: u64,
        rdx: u64,
        leaf: u32,
        r8: u64,
        r9: u64,
        run: *mut SgxEnclaveRun,
    ) -> c_int;
    safe static enarx_simulator_sgx_start: u8;
    safe static enarx_simulator_sgx_end: u8;
    safe static enarx_simulator_sgx_after_exception: u8;
    safe static enarx_simulator_sgx_after_interrupt: u8;
    safe static enarx_simulator_sgx_on_signal: u8;
    safe static enarx_simulator_sgx_return_from_signal: u8;
    safe static enarx_simulator_sgx_after_return_from_signal: u8;
}

/// The function that enters the enclave.
pub(super) fn enter_function() -> EnterFunction {
    enarx_simulator_sgx_enter
}

/// Whether `rip` is in the assembly here: on the way into the enclave or out of it.
pub(super) fn contains(rip: u64) -> bool {
    let start = &raw const enarx_simulator_sgx_start as u64;
    let end = &raw const enarx_simulator_sgx_end as u64;
    (start..end).contains(&rip)
}

/// Where the host goes on after an exception in the enclave.
pub(super) fn after_exception() -> u64 {
    &raw const enarx_simulator_sgx_after_exception as u64
}

/// Where the host goes on after an interrupt in the enclave: it resumes.
pub(super) fn after_interrupt() -> u64 {
    &raw const enarx_simulator_sgx_after_interrupt as u64
}

/// The handler to install for signals.
pub(super) fn on_signal() -> usize {
    &raw const enarx_simulator_sgx_on_signal as usize
}

/// The restorer to install with it.
pub(super) fn return_from_signal() -> usize {
    &raw const enarx_simulator_sgx_return_from_signal as usize
}

/// Start and length of the code whose system calls are never dispatched. The kernel looks at
/// the address after `syscall`.
pub(super) fn always_allowed() -> (usize, usize) {
    let start = return_from_signal();
    let end = &raw const enarx_simulator_sgx_after_return_from_signal as usize;
    (start, end - start + 1)
}
