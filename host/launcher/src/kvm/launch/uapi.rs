//! Structures of the kernel's interface that `kvm-bindings` does not have: those of
//! `arch/x86/include/uapi/asm/kvm.h` of Linux 6.16 for TDX, under the kernel's own names.

use kvm_bindings::kvm_cpuid_entry2;

/// A command (`struct kvm_tdx_cmd`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::kvm) struct kvm_tdx_cmd {
    /// Which one.
    pub id: u32,
    /// Flags of the command.
    pub flags: u32,
    /// A number, or the address of the command's structure.
    pub data: u64,
    /// The TDX module's status.
    pub hw_error: u64,
}

/// `enum kvm_tdx_cmd_id`.
pub(in crate::kvm) mod command {
    pub const CAPABILITIES: u32 = 0;
    pub const INIT_VM: u32 = 1;
    pub const INIT_VCPU: u32 = 2;
    pub const INIT_MEM_REGION: u32 = 3;
    pub const FINALIZE_VM: u32 = 4;
}

/// What the kernel and the TDX module offer (`struct kvm_tdx_capabilities`), up to its CPUID table.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(in crate::kvm) struct kvm_tdx_capabilities {
    /// Attributes that a trust domain can have.
    pub supported_attrs: u64,
    /// Processor state that it can have.
    pub supported_xfam: u64,
    pub kernel_tdvmcallinfo_1_r11: u64,
    pub user_tdvmcallinfo_1_r11: u64,
    pub kernel_tdvmcallinfo_1_r12: u64,
    pub user_tdvmcallinfo_1_r12: u64,
    pub reserved: [u64; 250],
}

/// What a trust domain is to be (`struct kvm_tdx_init_vm`), up to its CPUID table.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::kvm) struct kvm_tdx_init_vm {
    /// `ATTRIBUTES`.
    pub attributes: u64,
    /// `XFAM`.
    pub xfam: u64,
    /// `MRCONFIGID`.
    pub mrconfigid: [u64; 6],
    /// `MROWNER`.
    pub mrowner: [u64; 6],
    /// `MROWNERCONFIG`.
    pub mrownerconfig: [u64; 6],
    pub reserved: [u64; 12],
}

/// Pages to add (`struct kvm_tdx_init_mem_region`). The kernel advances it by what it has added.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::kvm) struct kvm_tdx_init_mem_region {
    /// Where this process has them.
    pub source_addr: u64,
    /// Where they go.
    pub gpa: u64,
    /// How many there are.
    pub nr_pages: u64,
}

/// The flag of `INIT_MEM_REGION` that has the contents measured.
pub(in crate::kvm) const KVM_TDX_MEASURE_MEMORY_REGION: u32 = 1;

/// Room in a [`CpuidTable`], as much as KVM itself takes (`KVM_MAX_CPUID_ENTRIES`).
pub(in crate::kvm) const CPUID_ENTRIES: usize = 256;

/// `struct kvm_cpuid2` with room behind it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::kvm) struct CpuidTable {
    pub nent: u32,
    pub padding: u32,
    pub entries: [kvm_cpuid_entry2; CPUID_ENTRIES],
}

impl CpuidTable {
    /// A table without entries, and room for them.
    pub(in crate::kvm) fn new() -> Self {
        Self {
            nent: 0,
            padding: 0,
            entries: [kvm_cpuid_entry2::default(); CPUID_ENTRIES],
        }
    }

    /// The entries that there are.
    pub(in crate::kvm) fn entries(&self) -> &[kvm_cpuid_entry2] {
        &self.entries[..CPUID_ENTRIES.min(self.nent as usize)]
    }
}

/// A structure with its CPUID table.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::kvm) struct WithCpuid<T> {
    pub head: T,
    pub cpuid: CpuidTable,
}

const _: () = {
    assert!(size_of::<kvm_tdx_cmd>() == 24);
    assert!(size_of::<kvm_tdx_capabilities>() == 2048);
    assert!(size_of::<kvm_tdx_init_vm>() == 256);
    assert!(size_of::<kvm_tdx_init_mem_region>() == 24);
    assert!(size_of::<kvm_cpuid_entry2>() == 40);
    assert!(core::mem::offset_of!(CpuidTable, entries) == 8);
    assert!(core::mem::offset_of!(WithCpuid<kvm_tdx_init_vm>, cpuid) == 256);
    assert!(core::mem::offset_of!(WithCpuid<kvm_tdx_capabilities>, cpuid) == 2048);
};
