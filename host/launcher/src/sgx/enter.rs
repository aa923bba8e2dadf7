//! Entering an enclave and coming back.

use super::enclave::{EnterFunction, Run};

/// What the enclave left in the registers through which it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub(super) struct Left {
    pub rdi: u64,
    pub rsi: u64,
}

/// Calls `function` with `leaf` and the address `block` in RDI. Gives what it returned: 0, or
/// a negated error number.
///
/// # Safety
///
/// `function` has the interface that its type is about, and `run` names a thread control
/// structure of the enclave that it enters. What the enclave does to this process's memory
/// beyond its own is what the host accepts by running it.
pub(super) unsafe fn enter(
    function: EnterFunction,
    leaf: u32,
    block: u64,
    run: &mut Run,
    left: &mut Left,
) -> i32 {
    // SAFETY: both structures are borrowed until the call returns; the rest by this
    // function's own contract.
    unsafe { enter_preserving(function, leaf, block, run, left) }
}

/// An enclave is free to leave every register but the stack's as it likes, and the function
/// of the interface keeps RBX and RBP alone. So this keeps the others that the psABI wants kept, and
/// the control words of the floating-point units.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn enter_preserving(
    function: EnterFunction,
    leaf: u32,
    block: u64,
    run: *mut Run,
    left: *mut Left,
) -> i32 {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        // For after the call, and the call's seventh argument, at a multiple of 16.
        "push r8",
        "push rcx",
        "mov rax, rdi",
        "mov rdi, rdx",
        "mov ecx, esi",
        "xor esi, esi",
        "xor edx, edx",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "call rax",
        "mov rcx, [rsp + 8]",
        "mov [rcx], rdi",
        "mov [rcx + 8], rsi",
        "add rsp, 16",
        "cld",
        "fninit",
        "fldcw [rsp + 4]",
        "ldmxcsr [rsp]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" fn enter_preserving(
    _: EnterFunction,
    _: u32,
    _: u64,
    _: *mut Run,
    _: *mut Left,
) -> i32 {
    -libc::ENOSYS
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// An "enclave" that leaves no register as it was, and says in RDI and RSI what it was
    /// called with.
    #[unsafe(naked)]
    unsafe extern "C" fn ruthless(
        _rdi: u64,
        _rsi: u64,
        _rdx: u64,
        _leaf: u32,
        _r8: u64,
        _r9: u64,
        _run: *mut Run,
    ) -> i32 {
        core::arch::naked_asm!(
            "push rbp",
            "mov rbp, rsp",
            "push rbx",
            "mov rax, [rbp + 16]",
            "mov dword ptr [rax + 8], 4",
            "lea rdi, [rdi + rcx]",
            "or rsi, rdx",
            "or rsi, r8",
            "or rsi, r9",
            "or rsi, [rax]",
            // Rounding to zero, and every exception of both units unmasked or masked the
            // other way.
            "push 0x7fff",
            "push 0x0f7f",
            "ldmxcsr [rsp + 8]",
            "fldcw [rsp]",
            "fld1",
            "add rsp, 16",
            "mov r10, -1",
            "mov r11, -1",
            "mov r12, -1",
            "mov r13, -1",
            "mov r14, -1",
            "mov r15, -1",
            "std",
            "pop rbx",
            "leave",
            "mov eax, -7",
            "ret",
        )
    }

    #[test]
    fn a_ruthless_enclave_does_no_harm() {
        let mut sum = 0.0f64;
        let numbers: Vec<u64> = (0..64).map(black_box).collect();
        for round in 0..100u64 {
            let mut run = Run::new(0x40);
            let mut left = Left::default();
            // SAFETY: the function has the interface, and touches nothing but `run`.
            let status = unsafe { enter(ruthless, 2, round << 12, &mut run, &mut left) };
            assert_eq!(status, -7);
            assert_eq!(
                left,
                Left {
                    rdi: (round << 12) + 2,
                    rsi: 0x40
                }
            );
            assert_eq!(run.function, 4);
            // Would be less if it were rounded to zero.
            sum += black_box(0.1) + black_box(0.2);
            assert_eq!(black_box(&numbers).iter().sum::<u64>(), 2016);
        }
        assert_eq!(black_box(0.1) + black_box(0.2), 0.300_000_000_000_000_04);
        assert!(sum > 30.0);
    }
}
