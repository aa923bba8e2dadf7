//! The launch of a SEV-SNP machine (`Documentation/virt/kvm/x86/amd-memory-encryption.rst`, Linux
//! 6.11).
//!
//! ```text
//! KVM_CREATE_VM -> KVM_SEV_INIT2 -> memory -> processors -> KVM_SEV_SNP_LAUNCH_START
//!     -> KVM_SEV_SNP_LAUNCH_UPDATE, page by page -> KVM_SEV_SNP_LAUNCH_FINISH
//! ```

use std::io;

use enarx_wire_launch::vm::{GuestPage, GuestPageKind, SnpProcessors};
use enarx_wire_launch::{PAGE_SIZE, SaveArea, Segment, SnpSignedIdentity};
use kvm_bindings::{
    CpuId, KVM_SEV_SNP_PAGE_TYPE_CPUID, KVM_SEV_SNP_PAGE_TYPE_NORMAL,
    KVM_SEV_SNP_PAGE_TYPE_SECRETS, KVM_SEV_SNP_PAGE_TYPE_ZERO, KVM_X86_SNP_VM, kvm_regs,
    kvm_segment, kvm_sev_cmd, kvm_sev_init, kvm_sev_snp_launch_finish, kvm_sev_snp_launch_start,
    kvm_sev_snp_launch_update, kvm_sregs, sev_cmd_id, sev_cmd_id_KVM_SEV_INIT2,
    sev_cmd_id_KVM_SEV_SNP_LAUNCH_FINISH, sev_cmd_id_KVM_SEV_SNP_LAUNCH_START,
    sev_cmd_id_KVM_SEV_SNP_LAUNCH_UPDATE,
};

use super::{
    ConfidentialError, Contents, Hypervisor, Source, failed, give_memory, take_requests_for_pages,
};

/// What is chosen of a SEV-SNP machine.
#[derive(Debug, Clone, Copy)]
pub(in crate::kvm) struct SnpLaunch<'a> {
    /// Its policy (AMD #56860, 4.3).
    pub policy: u64,
    /// How its processors start.
    pub processors: SnpProcessors,
    /// What reports say that the host said.
    pub host_data: [u8; 32],
    /// Who vouches for what it measures, if anybody does.
    pub identity: Option<&'a SnpSignedIdentity>,
}

impl SnpLaunch<'_> {
    /// Launches a machine.
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
            .create_machine(KVM_X86_SNP_VM.into())
            .map_err(failed("make a SEV-SNP machine"))?;
        take_requests_for_pages(kernel)?;
        command(
            kernel,
            "begin with SEV-SNP",
            sev_cmd_id_KVM_SEV_INIT2,
            &mut kvm_sev_init {
                // The kernel adds that of SEV-SNP itself.
                vmsa_features: self.processors.features & !SnpProcessors::SNP_ACTIVE,
                ghcb_version: GHCB_VERSION,
                ..kvm_sev_init::default()
            },
        )?;
        give_memory(kernel, contents.regions)?;
        for index in 0..contents.processors {
            self.make_processor(kernel, index, contents.cpuid)
                .map_err(failed("make a processor"))?;
        }
        command(
            kernel,
            "start the launch",
            sev_cmd_id_KVM_SEV_SNP_LAUNCH_START,
            &mut kvm_sev_snp_launch_start {
                policy: self.policy,
                ..kvm_sev_snp_launch_start::default()
            },
        )?;
        for page in contents.pages.loads() {
            load(kernel, &page, contents.cpuid)?;
        }
        self.finish(kernel)
    }

    fn make_processor(
        &self,
        kernel: &mut dyn Hypervisor,
        index: u32,
        cpuid: &CpuId,
    ) -> io::Result<()> {
        kernel.create_processor(index)?;
        kernel.set_cpuid(index, cpuid)?;
        let mut special = kernel.special_registers(index)?;
        let registers = registers(&self.processors.save_area(index), &mut special);
        kernel.set_registers(index, &special, &registers)
    }

    fn finish(&self, kernel: &mut dyn Hypervisor) -> Result<(), ConfidentialError> {
        let signed = self.identity;
        let block = signed.map(|signed| signed.identity.encode());
        let authentication = signed.map(|signed| Source(signed.authentication()));
        let has_author = signed.is_some_and(|signed| signed.author.is_some());
        command(
            kernel,
            "finish the launch",
            sev_cmd_id_KVM_SEV_SNP_LAUNCH_FINISH,
            &mut kvm_sev_snp_launch_finish {
                id_block_uaddr: block.as_ref().map_or(0, address),
                id_auth_uaddr: authentication.as_ref().map_or(0, address),
                id_block_en: signed.is_some().into(),
                auth_key_en: has_author.into(),
                host_data: self.host_data,
                ..kvm_sev_snp_launch_finish::default()
            },
        )
    }
}

/// The version of the protocol between guest and hypervisor (AMD #56421).
const GHCB_VERSION: u16 = 2;

/// Loads one page. The kernel may do so in several goes, and the firmware may correct a CPUID page,
/// which is then offered again.
fn load(
    kernel: &mut dyn Hypervisor,
    page: &GuestPage,
    cpuid: &CpuId,
) -> Result<(), ConfidentialError> {
    const GOES: usize = 8;
    let size = PAGE_SIZE as u64;
    let (kind, contents) = match (page.kind, page.contents) {
        (GuestPageKind::Measured, Some(contents)) => (KVM_SEV_SNP_PAGE_TYPE_NORMAL, contents),
        (GuestPageKind::Measured, None) => (KVM_SEV_SNP_PAGE_TYPE_ZERO, [0; PAGE_SIZE]),
        (GuestPageKind::Secrets, _) => (KVM_SEV_SNP_PAGE_TYPE_SECRETS, [0; PAGE_SIZE]),
        (GuestPageKind::Cpuid, _) => (KVM_SEV_SNP_PAGE_TYPE_CPUID, cpuid_page(cpuid)),
    };
    let mut source = Source(contents);
    let mut left = kvm_sev_snp_launch_update {
        gfn_start: page.address / size,
        uaddr: (&raw mut source).addr() as u64,
        len: size,
        type_: kind as u8,
        ..kvm_sev_snp_launch_update::default()
    };
    let mut corrected = false;
    for _ in 0..GOES {
        let before = source.0;
        match command(
            kernel,
            "load a page",
            sev_cmd_id_KVM_SEV_SNP_LAUNCH_UPDATE,
            &mut left,
        ) {
            Ok(()) if left.len == 0 => return Ok(()),
            Ok(()) => {}
            // Once, if there is something else in it now.
            Err(_) if page.kind == GuestPageKind::Cpuid && !corrected && source.0 != before => {
                corrected = true;
            }
            Err(error) => return Err(error),
        }
    }
    Err(ConfidentialError::Stalled(page.address))
}

fn command<T>(
    kernel: &mut dyn Hypervisor,
    step: &'static str,
    id: sev_cmd_id,
    data: &mut T,
) -> Result<(), ConfidentialError> {
    let mut command = kvm_sev_cmd {
        id,
        data: (&raw mut *data).addr() as u64,
        ..kvm_sev_cmd::default()
    };
    // SAFETY: each of the calls in this file names the command's own structure, whose addresses
    // are of memory that lives until it returns.
    unsafe { kernel.sev(&mut command) }.map_err(|source| match command.error {
        0 => ConfidentialError::Kernel(step, source),
        status => ConfidentialError::Tee {
            step,
            status: status.into(),
            source,
        },
    })
}

fn address<T>(of: &T) -> u64 {
    (&raw const *of).addr() as u64
}

/// Puts into `special`, and gives, the registers with which a processor has this save area.
fn registers(area: &SaveArea, special: &mut kvm_sregs) -> kvm_regs {
    let [es, cs, ss, ds, fs, gs] = area.segments.map(segment);
    (special.es, special.cs, special.ss) = (es, cs, ss);
    (special.ds, special.fs, special.gs) = (ds, fs, gs);
    special.tr = segment(area.task);
    special.ldt = segment(area.local_descriptors);
    special.cr0 = area.cr0;
    special.cr3 = area.cr3;
    // Of these the kernel adds what a guest cannot do without: machine checks, SVME.
    special.cr4 = 0;
    special.efer = 0;
    kvm_regs {
        rip: area.rip,
        rsp: area.rsp,
        rdx: area.rdx,
        rsi: area.rsi,
        rflags: area.rflags,
        ..kvm_regs::default()
    }
}

/// A segment as KVM has it, whose attributes are those of a descriptor (AMD #24593, volume 2, 4.7).
fn segment(segment: Segment) -> kvm_segment {
    let bit = |at: u16| (segment.attributes >> at & 1) as u8;
    kvm_segment {
        base: segment.base,
        limit: segment.limit,
        selector: segment.selector,
        type_: (segment.attributes & 0xF) as u8,
        s: bit(4),
        dpl: (segment.attributes >> 5 & 3) as u8,
        present: bit(7),
        avl: bit(8),
        l: bit(9),
        db: bit(10),
        g: bit(11),
        ..kvm_segment::default()
    }
}

/// The CPUID table for the firmware to check (AMD #56860, 8.17.2.6, "CPUID Page").
fn cpuid_page(cpuid: &CpuId) -> [u8; PAGE_SIZE] {
    const HEAD: usize = 16;
    const ENTRY: usize = 48;
    const MOST: usize = 64;
    /// Leaf 0xD depends on the states that are on: after a reset that is x87 alone.
    const EXTENDED_STATES: u32 = 0xD;
    /// What says where private memory is marked must not be what finds no room.
    const ENCRYPTED_MEMORY: u32 = 0x8000_001F;
    let mut page = [0; PAGE_SIZE];
    let mut entries = cpuid.as_slice().to_vec();
    entries.sort_by_key(|entry| entry.function != ENCRYPTED_MEMORY);
    let count = entries.len().min(MOST);
    page[..4].copy_from_slice(&(count as u32).to_le_bytes());
    for (slot, entry) in page[HEAD..].chunks_exact_mut(ENTRY).zip(&entries[..count]) {
        let states: u64 = (entry.function == EXTENDED_STATES && entry.index <= 1).into();
        slot[..4].copy_from_slice(&entry.function.to_le_bytes());
        slot[4..8].copy_from_slice(&entry.index.to_le_bytes());
        slot[8..16].copy_from_slice(&states.to_le_bytes());
        let values = [entry.eax, entry.ebx, entry.ecx, entry.edx];
        for (at, value) in (24..).step_by(4).zip(values) {
            slot[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    page
}
