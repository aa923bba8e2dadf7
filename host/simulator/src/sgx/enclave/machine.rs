//! What the simulation needs of the processor and of the kernel.

use std::arch::asm;

use super::error::InitError;
use super::thread;

/// Checks what cannot be done without.
pub(super) fn check() -> Result<(), InitError> {
    /// Bit of `AT_HWCAP2`.
    const FSGSBASE: u64 = 1 << 1;
    // SAFETY: has no preconditions.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    if capabilities & FSGSBASE == 0 {
        return Err(InitError::Unsupported(
            "programs cannot set segment bases (FSGSBASE); it takes a processor of 2013 or later and Linux 5.9",
        ));
    }
    if !has_avx() {
        return Err(InitError::Unsupported(
            "the processor or the kernel has no AVX",
        ));
    }
    // No thread is attached before the enclave is initialised.
    if !thread::stop_dispatch() {
        return Err(InitError::Unsupported(
            "the kernel cannot turn system calls into signals (Syscall User Dispatch); it takes Linux 5.11",
        ));
    }
    Ok(())
}

/// Whether x87, SSE and AVX are all there and switched on.
fn has_avx() -> bool {
    const X87_SSE_AVX: u32 = 0b111;
    if !std::is_x86_feature_detected!("xsave") {
        return false;
    }
    let enabled: u32;
    // SAFETY: the instruction is there, since XSAVE is, and reads a register.
    unsafe {
        asm!(
            "xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _,
            options(nomem, nostack, preserves_flags)
        );
    }
    enabled & X87_SSE_AVX == X87_SSE_AVX
}
