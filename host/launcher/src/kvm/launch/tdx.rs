//! The launch of a trust domain (`Documentation/virt/kvm/x86/intel-tdx.rst`, Linux 6.16).
//!
//! ```text
//! KVM_CREATE_VM -> KVM_TDX_CAPABILITIES -> KVM_TDX_INIT_VM -> memory -> processors, KVM_TDX_INIT_VCPU
//!     -> KVM_TDX_INIT_MEM_REGION, page by page -> KVM_TDX_FINALIZE_VM
//! ```

use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::GuestPage;
use kvm_bindings::{
    CpuId, KVM_CAP_SPLIT_IRQCHIP, KVM_X86_TDX_VM, kvm_cpuid_entry2, kvm_enable_cap,
};

use super::uapi::{
    CPUID_ENTRIES, CpuidTable, KVM_TDX_MEASURE_MEMORY_REGION, WithCpuid, command,
    kvm_tdx_capabilities, kvm_tdx_cmd, kvm_tdx_init_mem_region, kvm_tdx_init_vm,
};
use super::{
    ConfidentialError, Contents, Hypervisor, Source, failed, give_memory, take_requests_for_pages,
};

/// What is chosen of a trust domain.
#[derive(Debug, Clone, Copy)]
pub(in crate::kvm) struct TdxLaunch {
    /// What quotes say that the host said (`MRCONFIGID`), zeros behind it.
    pub host_data: [u8; 32],
}

impl TdxLaunch {
    /// Launches a trust domain.
    ///
    /// # Errors
    ///
    /// [`ConfidentialError`] names the step.
    pub(in crate::kvm) fn launch(
        &self,
        kernel: &mut dyn Hypervisor,
        contents: &Contents<'_>,
    ) -> Result<(), ConfidentialError> {
        kernel
            .create_machine(KVM_X86_TDX_VM.into())
            .map_err(failed("make a trust domain"))?;
        take_requests_for_pages(kernel)?;
        kernel
            .enable(&kvm_enable_cap {
                cap: KVM_CAP_SPLIT_IRQCHIP,
                args: [INTERRUPT_PINS, 0, 0, 0],
                ..kvm_enable_cap::default()
            })
            .map_err(failed("leave interrupts to the processors"))?;
        self.initialize(kernel, contents.cpuid)?;
        give_memory(kernel, contents.regions)?;
        for index in 0..contents.processors {
            make_processor(kernel, index, contents.cpuid)?;
        }
        for page in contents.pages.loads() {
            add(kernel, &page)?;
        }
        run(
            kernel,
            None,
            "finish the launch",
            command::FINALIZE_VM,
            0,
            0,
        )
    }

    fn initialize(
        &self,
        kernel: &mut dyn Hypervisor,
        cpuid: &CpuId,
    ) -> Result<(), ConfidentialError> {
        let mut offered = Box::new(WithCpuid {
            head: kvm_tdx_capabilities {
                supported_attrs: 0,
                supported_xfam: 0,
                kernel_tdvmcallinfo_1_r11: 0,
                user_tdvmcallinfo_1_r11: 0,
                kernel_tdvmcallinfo_1_r12: 0,
                user_tdvmcallinfo_1_r12: 0,
                reserved: [0; 250],
            },
            cpuid: CpuidTable::new(),
        });
        offered.cpuid.nent = CPUID_ENTRIES as u32;
        let data = (&raw mut *offered).addr() as u64;
        run(
            kernel,
            None,
            "say what it offers",
            command::CAPABILITIES,
            0,
            data,
        )?;
        if offered.head.supported_attrs & SEPT_VE_DISABLE == 0 {
            return Err(ConfidentialError::Offer("SEPT_VE_DISABLE"));
        }
        if offered.head.supported_xfam & EXTENDED_STATES != EXTENDED_STATES {
            return Err(ConfidentialError::Offer("AVX"));
        }
        let mut mrconfigid = [0; 6];
        for (word, bytes) in mrconfigid.iter_mut().zip(self.host_data.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let mut chosen = Box::new(WithCpuid {
            head: kvm_tdx_init_vm {
                attributes: SEPT_VE_DISABLE,
                xfam: EXTENDED_STATES,
                mrconfigid,
                ..kvm_tdx_init_vm::default()
            },
            cpuid: configuration(offered.cpuid.entries(), cpuid),
        });
        let data = (&raw mut *chosen).addr() as u64;
        run(kernel, None, "begin with TDX", command::INIT_VM, 0, data)
    }
}

/// Pages that the host takes away stop the domain, rather than being told to it.
const SEPT_VE_DISABLE: u64 = 1 << 28;

/// x87, SSE, AVX.
const EXTENDED_STATES: u64 = 0b111;

/// As many as a PC has; nothing interrupts a Keep.
const INTERRUPT_PINS: u64 = 24;

/// Of what the processors are to offer, what can be chosen: the TDX module decides the rest.
fn configuration(configurable: &[kvm_cpuid_entry2], cpuid: &CpuId) -> CpuidTable {
    const SIZES: u32 = 0x8000_0008;
    /// Where [`SIZES`] has the width of guest physical addresses in EAX.
    const WIDTH: u32 = 0xFF << 16;
    /// 48 bits, the uppermost of which says that memory is shared.
    const WIDTH_48: u32 = 48 << 16;
    let mut table = CpuidTable::new();
    for bits in configurable {
        let same = |entry: &&kvm_cpuid_entry2| {
            (entry.function, entry.index) == (bits.function, bits.index)
        };
        let wanted = cpuid.as_slice().iter().find(same).copied();
        let wanted = wanted.unwrap_or_default();
        let mut entry = *bits;
        entry.eax = wanted.eax & bits.eax;
        entry.ebx = wanted.ebx & bits.ebx;
        entry.ecx = wanted.ecx & bits.ecx;
        entry.edx = wanted.edx & bits.edx;
        if bits.function == SIZES {
            entry.eax = entry.eax & !WIDTH | WIDTH_48;
        }
        table.entries[table.nent as usize] = entry;
        table.nent += 1;
    }
    table
}

fn make_processor(
    kernel: &mut dyn Hypervisor,
    index: u32,
    cpuid: &CpuId,
) -> Result<(), ConfidentialError> {
    kernel
        .create_processor(index)
        .and_then(|()| kernel.set_cpuid(index, cpuid))
        .map_err(failed("make a processor"))?;
    // What RCX starts with, of which nothing here takes notice.
    run(
        kernel,
        Some(index),
        "begin with a processor",
        command::INIT_VCPU,
        0,
        0,
    )
}

/// Adds one page and has it measured.
fn add(kernel: &mut dyn Hypervisor, page: &GuestPage) -> Result<(), ConfidentialError> {
    let mut source = Source(page.contents.unwrap_or([0; PAGE_SIZE]));
    let mut region = kvm_tdx_init_mem_region {
        source_addr: (&raw mut source).addr() as u64,
        gpa: page.address,
        nr_pages: 1,
    };
    let data = (&raw mut region).addr() as u64;
    let flags = KVM_TDX_MEASURE_MEMORY_REGION;
    run(
        kernel,
        Some(0),
        "add a page",
        command::INIT_MEM_REGION,
        flags,
        data,
    )?;
    match region.nr_pages {
        0 => Ok(()),
        _ => Err(ConfidentialError::Stalled(page.address)),
    }
}

fn run(
    kernel: &mut dyn Hypervisor,
    processor: Option<u32>,
    step: &'static str,
    id: u32,
    flags: u32,
    data: u64,
) -> Result<(), ConfidentialError> {
    loop {
        let mut command = kvm_tdx_cmd {
            id,
            flags,
            data,
            hw_error: 0,
        };
        // SAFETY: each of the calls in this file names the command's own structure, whose
        // addresses are of memory that lives until it returns.
        match unsafe { kernel.tdx(processor, &mut command) } {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {}
            Err(source) if command.hw_error != 0 => {
                return Err(ConfidentialError::Tee {
                    step,
                    status: command.hw_error,
                    source,
                });
            }
            Err(source) => return Err(ConfidentialError::Kernel(step, source)),
            Ok(()) => return Ok(()),
        }
    }
}
