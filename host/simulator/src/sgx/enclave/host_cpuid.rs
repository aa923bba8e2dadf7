//! CPUID, which faults in attached threads, so that it does so in the enclave.

use std::arch::x86_64::__cpuid_count;
use std::ffi::c_ulong;

use super::entry::canonical;
use super::registers::{RAX, RBX, RCX, RDX, Registers};

/// `ARCH_GET_CPUID` and `ARCH_SET_CPUID` of `arch_prctl`.
const GET_CPUID: c_ulong = 0x1011;
const SET_CPUID: c_ulong = 0x1012;
const CPUID: [u8; 2] = [0x0f, 0xa2];

/// Lets CPUID raise exceptions in this thread, or stops it. Without effect on processors
/// that cannot; on them the enclave's CPUID is answered.
pub(super) fn set_faulting(faults: bool) {
    // SAFETY: changes nothing but whether CPUID raises an exception, which `answer` handles.
    unsafe { libc::syscall(libc::SYS_arch_prctl, SET_CPUID, c_ulong::from(!faults)) };
}

/// Executes a CPUID that raised an exception in the host's own code. Returns whether
/// that is what happened.
pub(super) fn answer(registers: &mut Registers<'_>) -> bool {
    // SAFETY: reads a flag of this thread.
    let is_enabled = unsafe { libc::syscall(libc::SYS_arch_prctl, GET_CPUID, 0) };
    if is_enabled != 0 || canonical(registers.rip()).is_err() {
        return false;
    }
    let code = registers.rip() as *const u8;
    // SAFETY: the thread has executed the instruction here, so that its first byte can be
    // read, and the second if the first is not an instruction by itself.
    let is_cpuid = unsafe { *code == CPUID[0] && *code.add(1) == CPUID[1] };
    if !is_cpuid {
        return false;
    }
    set_faulting(false);
    let answer = __cpuid_count(registers.get(RAX) as u32, registers.get(RCX) as u32);
    set_faulting(true);
    registers.set(RAX, answer.eax.into());
    registers.set(RBX, answer.ebx.into());
    registers.set(RCX, answer.ecx.into());
    registers.set(RDX, answer.edx.into());
    registers.set_rip(registers.rip() + CPUID.len() as u64);
    true
}
