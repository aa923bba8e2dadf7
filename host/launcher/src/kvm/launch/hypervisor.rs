//! What a launch asks of the kernel.

use std::io;

use kvm_bindings::{
    CpuId, kvm_create_guest_memfd, kvm_enable_cap, kvm_memory_attributes, kvm_regs, kvm_sev_cmd,
    kvm_sregs, kvm_userspace_memory_region2,
};

use super::uapi::kvm_tdx_cmd;

/// One machine that is being made, request by request. Each is one of `Documentation/virt/kvm/api.rst`, or,
/// of [`sev`](Self::sev) and [`tdx`](Self::tdx), of `x86/amd-memory-encryption.rst` and
/// `x86/intel-tdx.rst` beside it.
pub(in crate::kvm) trait Hypervisor {
    /// `KVM_CREATE_VM`, for a machine of type `kind` (`KVM_X86_SNP_VM`, `KVM_X86_TDX_VM`).
    fn create_machine(&mut self, kind: u64) -> io::Result<()>;

    /// `KVM_ENABLE_CAP`.
    fn enable(&mut self, capability: &kvm_enable_cap) -> io::Result<()>;

    /// `KVM_CREATE_GUEST_MEMFD`: gives the number of a descriptor that lives as long as the machine.
    fn create_guest_memory(&mut self, memory: &kvm_create_guest_memfd) -> io::Result<u32>;

    /// `KVM_SET_USER_MEMORY_REGION2`.
    fn set_region(&mut self, region: &kvm_userspace_memory_region2) -> io::Result<()>;

    /// `KVM_SET_MEMORY_ATTRIBUTES`.
    fn set_attributes(&mut self, attributes: &kvm_memory_attributes) -> io::Result<()>;

    /// `KVM_CREATE_VCPU`: processors are made in the order of their indices.
    fn create_processor(&mut self, index: u32) -> io::Result<()>;

    /// `KVM_SET_CPUID2`.
    fn set_cpuid(&mut self, index: u32, cpuid: &CpuId) -> io::Result<()>;

    /// `KVM_GET_SREGS`.
    fn special_registers(&mut self, index: u32) -> io::Result<kvm_sregs>;

    /// `KVM_SET_SREGS` and `KVM_SET_REGS`.
    fn set_registers(&mut self, index: u32, special: &kvm_sregs, regs: &kvm_regs)
    -> io::Result<()>;

    /// `KVM_MEMORY_ENCRYPT_OP` of SEV on the machine. The descriptor of the secure processor is filled in.
    ///
    /// # Safety
    ///
    /// `data` is the address of the structure that the command has, and the addresses in that are of
    /// memory of the sizes that it says.
    unsafe fn sev(&mut self, command: &mut kvm_sev_cmd) -> io::Result<()>;

    /// `KVM_MEMORY_ENCRYPT_OP` of TDX, on a processor or on the machine.
    ///
    /// # Safety
    ///
    /// As for [`sev`](Self::sev).
    unsafe fn tdx(&mut self, processor: Option<u32>, command: &mut kvm_tdx_cmd) -> io::Result<()>;
}
