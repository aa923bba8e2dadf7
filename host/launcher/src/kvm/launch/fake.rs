//! A kernel, a secure processor and a TDX module for tests: they check every request as the real ones
//! do, and measure what they are given with arithmetic of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::slice;

use aws_lc_rs::digest::{Context, SHA384, digest};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use kvm_bindings::{
    CpuId, KVM_CAP_EXIT_HYPERCALL, KVM_CAP_SPLIT_IRQCHIP, KVM_MEM_GUEST_MEMFD,
    KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_X86_SNP_VM, KVM_X86_TDX_VM, kvm_cpuid_entry2,
    kvm_create_guest_memfd, kvm_enable_cap, kvm_memory_attributes, kvm_regs, kvm_segment,
    kvm_sev_cmd, kvm_sev_init, kvm_sev_snp_launch_finish, kvm_sev_snp_launch_start,
    kvm_sev_snp_launch_update, kvm_sregs, kvm_userspace_memory_region2,
};

use super::Hypervisor;
use super::uapi::{
    WithCpuid, command, kvm_tdx_capabilities, kvm_tdx_cmd, kvm_tdx_init_mem_region, kvm_tdx_init_vm,
};

const PAGE: u64 = 4096;

/// How far a launch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stage {
    #[default]
    Nothing,
    Machine,
    Initialized,
    /// Of SEV-SNP alone.
    Started,
    Finished,
}

/// How this kernel differs from one that does all at once and likes everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moods {
    /// It is interrupted before each page the first time.
    pub interrupted: bool,
    /// The firmware corrects CPUID pages.
    pub corrects: bool,
    /// It takes no page, and says nothing.
    pub stalls: bool,
    /// It offers no AVX to trust domains.
    pub no_avx: bool,
    /// The secure processor or the TDX module fails at the last step with this status.
    pub status: u32,
}

/// One processor.
#[derive(Debug, Clone, Default)]
pub struct FakeProcessor {
    pub cpuid: usize,
    pub registers: Option<(kvm_sregs, kvm_regs)>,
    pub initialized: bool,
}

/// The machine.
#[derive(Default)]
pub struct Fake {
    pub moods: Moods,
    pub stage: Stage,
    pub kind: u64,
    pub capabilities: BTreeMap<u32, u64>,
    pub files: Vec<u64>,
    pub regions: Vec<kvm_userspace_memory_region2>,
    pub private: Vec<(u64, u64)>,
    pub processors: Vec<FakeProcessor>,
    /// Guest addresses of pages that were added, and their types.
    pub pages: BTreeMap<u64, u8>,
    /// What the firmware has measured so far, or in the end.
    pub measurement: Vec<u8>,
    folded: Option<Context>,
    features: u64,
    pub policy: u64,
    pub host_data: Vec<u8>,
    /// `ID_KEY_DIGEST` and `AUTHOR_KEY_DIGEST`, once an identity was accepted.
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
    pub attributes: u64,
    pub xfam: u64,
    interrupted: BTreeSet<u64>,
}

fn refused(error: i32) -> io::Error {
    io::Error::from_raw_os_error(error)
}

/// A kernel's answer where something does not hold.
fn demand(holds: bool) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(refused(libc::EINVAL))
    }
}

impl Fake {
    pub fn new(moods: Moods) -> Self {
        Self {
            moods,
            ..Self::default()
        }
    }

    /// Whether all of the range lies in one region with private memory, and is private now.
    fn is_private(&self, address: u64, size: u64) -> bool {
        let within = |start: u64, length: u64| {
            start <= address && address.saturating_add(size) <= start + length
        };
        let region = self.regions.iter().any(|region| {
            region.flags & KVM_MEM_GUEST_MEMFD != 0
                && within(region.guest_phys_addr, region.memory_size)
        });
        region && self.private.iter().any(|(at, length)| within(*at, *length))
    }

    fn is_interrupted_at(&mut self, address: u64) -> bool {
        self.moods.interrupted && self.interrupted.insert(address)
    }

    /// AMD #56860, 8.17.2: folds one page into the launch digest.
    fn fold(&mut self, kind: u8, address: u64, contents: Option<&[u8]>) {
        let contents = contents.map_or(vec![0; 48], |page| digest(&SHA384, page).as_ref().to_vec());
        let info = [
            &self.measurement[..],
            &contents,
            &[0x70, 0, kind, 0, 0, 0, 0, 0],
            &address.to_le_bytes(),
        ]
        .concat();
        assert_eq!(info.len(), 0x70);
        self.measurement = digest(&SHA384, &info).as_ref().to_vec();
    }

    fn init2(&mut self, init: &kvm_sev_init) -> io::Result<()> {
        demand(self.stage == Stage::Machine && self.processors.is_empty())?;
        demand(init.flags == 0 && init.ghcb_version <= 2 && init.pad2 == [0; 8])?;
        // The only one that Linux lets a monitor choose is DebugSwap.
        demand(init.vmsa_features & !(1 << 5) == 0)?;
        self.features = init.vmsa_features | 1;
        self.stage = Stage::Initialized;
        Ok(())
    }

    fn start(&mut self, start: &kvm_sev_snp_launch_start) -> io::Result<()> {
        demand(self.stage == Stage::Initialized && start.flags == 0)?;
        demand(start.pad0 == [0; 6] && start.pad1 == [0; 4])?;
        // Reserved bit 17 is one. Linux 6.11 wants simultaneous threads and no single socket.
        demand(start.policy & 1 << 17 != 0 && start.policy & 1 << 16 != 0)?;
        demand(start.policy & !0xF_FFFF == 0)?;
        self.policy = start.policy;
        self.measurement = vec![0; 48];
        self.stage = Stage::Started;
        Ok(())
    }

    /// # Safety
    ///
    /// What it names is memory of its length.
    unsafe fn update(&mut self, update: &mut kvm_sev_snp_launch_update) -> io::Result<u32> {
        demand(self.stage == Stage::Started && update.flags == 0)?;
        demand(update.pad1 == 0 && update.pad2 == [0; 4])?;
        demand(update.len != 0 && update.len.is_multiple_of(PAGE))?;
        demand(matches!(update.type_, 1 | 3..=6))?;
        demand(update.type_ == 3 || update.uaddr.is_multiple_of(PAGE))?;
        let address = update.gfn_start * PAGE;
        demand(self.is_private(address, update.len))?;
        if self.moods.stalls {
            return Ok(0);
        }
        if self.is_interrupted_at(address) {
            return Ok(0);
        }
        if self.pages.contains_key(&address) {
            return Err(refused(libc::EEXIST));
        }
        let source = update.uaddr as *mut u8;
        if update.type_ == 6 && self.moods.corrects {
            // SAFETY: a page, by the caller's contract. The firmware masks what it does not know.
            let page = unsafe { slice::from_raw_parts_mut(source, PAGE as usize) };
            let first = &mut page[24..28];
            if first != [0; 4] {
                first.fill(0);
                // SEV_RET_INVALID_PARAM.
                return Ok(0x16);
            }
        }
        let contents = (update.type_ == 1).then(|| {
            // SAFETY: a page, by the caller's contract.
            unsafe { slice::from_raw_parts(source, PAGE as usize) }.to_vec()
        });
        self.fold(update.type_, address, contents.as_deref());
        self.pages.insert(address, update.type_);
        update.gfn_start += 1;
        update.len -= PAGE;
        if update.type_ != 3 {
            update.uaddr += PAGE;
        }
        Ok(0)
    }

    /// # Safety
    ///
    /// What it names is memory of the sizes in AMD #56860, 8.18.
    unsafe fn finish(&mut self, finish: &kvm_sev_snp_launch_finish) -> io::Result<u32> {
        demand(self.stage == Stage::Started && finish.flags == 0 && !self.processors.is_empty())?;
        demand(finish.pad0 == [0; 3] && finish.pad1 == [0; 4])?;
        for index in 0..self.processors.len() {
            let (special, regs) = self.processors[index].registers.unwrap_or_default();
            let area = save_area(&special, &regs, self.features);
            self.fold(2, 0xFFFF_FFFF_F000, Some(&area));
        }
        if self.moods.status != 0 {
            return Ok(self.moods.status);
        }
        if finish.id_block_en != 0 {
            let (block, page) = (finish.id_block_uaddr, finish.id_auth_uaddr);
            // SAFETY: by the caller's contract.
            let (block, page) = unsafe {
                (
                    slice::from_raw_parts(block as *const u8, 96),
                    slice::from_raw_parts(page as *const u8, 4096),
                )
            };
            match self.identify(block, page, finish.auth_key_en != 0) {
                Some(keys) => self.keys = Some(keys),
                // BAD_SIGNATURE, or BAD_MEASUREMENT.
                None => return Ok(0x0B),
            }
        }
        self.host_data = finish.host_data.to_vec();
        self.stage = Stage::Finished;
        Ok(0)
    }

    /// AMD #56860, 8.18: who vouches for the guest, if the signatures and the measurement are right.
    fn identify(&self, block: &[u8], page: &[u8], author: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let right = block[..48] == self.measurement[..]
            && block[0x50..0x54] == [1, 0, 0, 0]
            && block[0x58..] == self.policy.to_le_bytes()
            && page[..4] == [1, 0, 0, 0];
        let verify = |key: usize, signature: usize, of: &[u8]| {
            let number = |at: usize| page[at..at + 48].iter().rev().copied().collect::<Vec<u8>>();
            let point = [vec![4], number(key + 4), number(key + 0x4C)].concat();
            let signature = [number(signature), number(signature + 72)].concat();
            page[key..key + 4] == [2, 0, 0, 0]
                && UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                    .verify(of, &signature)
                    .is_ok()
        };
        let digest_of = |at: usize| digest(&SHA384, &page[at..at + 0x404]).as_ref().to_vec();
        let mut authored = vec![0; 48];
        if author {
            if !verify(0x880, 0x680, &page[0x240..0x644]) {
                return None;
            }
            authored = digest_of(0x880);
        }
        (right && verify(0x240, 0x40, block)).then(|| (digest_of(0x240), authored))
    }

    fn offer(&self, offered: &mut WithCpuid<kvm_tdx_capabilities>) -> io::Result<()> {
        demand(self.stage == Stage::Machine)?;
        let entries = configurable();
        if (offered.cpuid.nent as usize) < entries.len() {
            return Err(refused(libc::E2BIG));
        }
        offered.head.supported_attrs = 1 << 28;
        offered.head.supported_xfam = if self.moods.no_avx { 0b11 } else { 0x602E7 };
        offered.cpuid.nent = entries.len() as u32;
        offered.cpuid.entries[..entries.len()].copy_from_slice(&entries);
        Ok(())
    }

    fn init_vm(&mut self, chosen: &WithCpuid<kvm_tdx_init_vm>) -> io::Result<()> {
        let head = &chosen.head;
        demand(self.stage == Stage::Machine && self.processors.is_empty())?;
        demand(head.reserved == [0; 12] && head.attributes & !(1 << 28) == 0)?;
        demand(head.xfam & !0x602E7 == 0 && head.xfam & 0b11 == 0b11)?;
        // Each entry has a slot, and nothing but what can be chosen.
        let slots = configurable();
        let mut width = None;
        for entry in chosen.cpuid.entries() {
            let same = |slot: &&kvm_cpuid_entry2| {
                (slot.function, slot.index) == (entry.function, entry.index)
            };
            let slot = slots
                .iter()
                .find(same)
                .ok_or_else(|| refused(libc::EINVAL))?;
            demand(entry.eax & !slot.eax == 0 && entry.ebx & !slot.ebx == 0)?;
            demand(entry.ecx & !slot.ecx == 0 && entry.edx & !slot.edx == 0)?;
            if entry.function == 0x8000_0008 {
                width = Some(entry.eax >> 16 & 0xFF);
            }
        }
        demand(matches!(width, Some(48 | 52)))?;
        self.attributes = head.attributes;
        self.xfam = head.xfam;
        let words = head.mrconfigid.iter();
        self.host_data = words.flat_map(|word| word.to_le_bytes()).collect();
        self.folded = Some(Context::new(&SHA384));
        self.stage = Stage::Initialized;
        Ok(())
    }

    /// # Safety
    ///
    /// What it names are pages.
    unsafe fn add_pages(
        &mut self,
        flags: u32,
        region: &mut kvm_tdx_init_mem_region,
    ) -> io::Result<()> {
        demand(self.stage == Stage::Initialized && flags & !1 == 0)?;
        demand(region.source_addr.is_multiple_of(PAGE) && region.gpa.is_multiple_of(PAGE))?;
        demand(region.nr_pages != 0 && self.is_private(region.gpa, region.nr_pages * PAGE))?;
        if self.moods.stalls {
            return Ok(());
        }
        while region.nr_pages != 0 {
            if self.is_interrupted_at(region.gpa) {
                return Err(refused(libc::EINTR));
            }
            if self.pages.insert(region.gpa, 1).is_some() {
                return Err(refused(libc::EEXIST));
            }
            // SAFETY: a page, by the caller's contract.
            let page =
                unsafe { slice::from_raw_parts(region.source_addr as *const u8, PAGE as usize) };
            let Some(folded) = &mut self.folded else {
                return Err(refused(libc::EINVAL));
            };
            let mut buffer = |name: &[u8], address: u64| {
                let mut block = [0; 128];
                block[..name.len()].copy_from_slice(name);
                block[16..24].copy_from_slice(&address.to_le_bytes());
                folded.update(&block);
            };
            buffer(b"MEM.PAGE.ADD", region.gpa);
            if flags == 1 {
                for (index, chunk) in page.chunks(256).enumerate() {
                    let mut block = [0; 128];
                    block[..9].copy_from_slice(b"MR.EXTEND");
                    block[16..24].copy_from_slice(&(region.gpa + 256 * index as u64).to_le_bytes());
                    folded.update(&block);
                    folded.update(chunk);
                }
            }
            region.source_addr += PAGE;
            region.gpa += PAGE;
            region.nr_pages -= 1;
        }
        Ok(())
    }

    fn finalize(&mut self) -> io::Result<()> {
        demand(self.stage == Stage::Initialized && !self.processors.is_empty())?;
        demand(self.processors.iter().all(|one| one.initialized))?;
        let folded = self.folded.take().ok_or_else(|| refused(libc::EINVAL))?;
        self.measurement = folded.finish().as_ref().to_vec();
        self.stage = Stage::Finished;
        Ok(())
    }
}

impl Hypervisor for Fake {
    fn create_machine(&mut self, kind: u64) -> io::Result<()> {
        demand(self.stage == Stage::Nothing)?;
        demand([KVM_X86_SNP_VM.into(), KVM_X86_TDX_VM.into()].contains(&kind))?;
        self.kind = kind;
        self.stage = Stage::Machine;
        Ok(())
    }

    fn enable(&mut self, capability: &kvm_enable_cap) -> io::Result<()> {
        demand(self.stage >= Stage::Machine && capability.flags == 0)?;
        match capability.cap {
            KVM_CAP_EXIT_HYPERCALL => demand(capability.args[0] & !(1 << 12) == 0)?,
            KVM_CAP_SPLIT_IRQCHIP => demand(self.processors.is_empty())?,
            _ => return Err(refused(libc::EINVAL)),
        }
        self.capabilities.insert(capability.cap, capability.args[0]);
        Ok(())
    }

    fn create_guest_memory(&mut self, memory: &kvm_create_guest_memfd) -> io::Result<u32> {
        demand(self.stage >= Stage::Initialized && memory.flags == 0)?;
        demand(memory.size != 0 && memory.size.is_multiple_of(PAGE) && memory.reserved == [0; 6])?;
        self.files.push(memory.size);
        Ok(self.files.len() as u32 - 1)
    }

    fn set_region(&mut self, region: &kvm_userspace_memory_region2) -> io::Result<()> {
        demand(self.stage >= Stage::Machine)?;
        // A guest whose state is protected has no read-only memory.
        demand(region.flags & !KVM_MEM_GUEST_MEMFD == 0)?;
        let end = region.guest_phys_addr.checked_add(region.memory_size);
        let end = end.ok_or_else(|| refused(libc::EINVAL))?;
        let aligned = [
            region.guest_phys_addr,
            region.memory_size,
            region.userspace_addr,
        ];
        demand(region.memory_size != 0 && aligned.iter().all(|at| at.is_multiple_of(PAGE)))?;
        if region.flags & KVM_MEM_GUEST_MEMFD != 0 {
            let size = self.files.get(region.guest_memfd as usize).copied();
            let last = region.guest_memfd_offset.checked_add(region.memory_size);
            demand(size.zip(last).is_some_and(|(size, last)| last <= size))?;
        }
        for other in &self.regions {
            let apart = end <= other.guest_phys_addr
                || other.guest_phys_addr + other.memory_size <= region.guest_phys_addr;
            if !apart || other.slot == region.slot {
                return Err(refused(libc::EEXIST));
            }
        }
        self.regions.push(*region);
        Ok(())
    }

    fn set_attributes(&mut self, attributes: &kvm_memory_attributes) -> io::Result<()> {
        demand(self.stage >= Stage::Machine && attributes.flags == 0)?;
        demand(attributes.attributes & !u64::from(KVM_MEMORY_ATTRIBUTE_PRIVATE) == 0)?;
        demand(attributes.size != 0 && attributes.size.is_multiple_of(PAGE))?;
        demand(attributes.address.is_multiple_of(PAGE))?;
        if attributes.attributes != 0 {
            self.private.push((attributes.address, attributes.size));
        }
        Ok(())
    }

    fn create_processor(&mut self, index: u32) -> io::Result<()> {
        // A machine of a TEE has its TEE first.
        demand(self.stage >= Stage::Initialized && self.stage < Stage::Finished)?;
        demand(index as usize == self.processors.len())?;
        if self.kind == u64::from(KVM_X86_TDX_VM) {
            demand(self.capabilities.contains_key(&KVM_CAP_SPLIT_IRQCHIP))?;
        }
        self.processors.push(FakeProcessor::default());
        Ok(())
    }

    fn set_cpuid(&mut self, index: u32, cpuid: &CpuId) -> io::Result<()> {
        let processor = self.processors.get_mut(index as usize);
        processor.ok_or_else(|| refused(libc::ENOENT))?.cpuid = cpuid.as_slice().len();
        Ok(())
    }

    fn special_registers(&mut self, index: u32) -> io::Result<kvm_sregs> {
        demand((index as usize) < self.processors.len() && self.stage < Stage::Finished)?;
        // As KVM resets a processor.
        let table = |type_| kvm_segment {
            limit: 0xFFFF,
            type_,
            present: 1,
            ..kvm_segment::default()
        };
        Ok(kvm_sregs {
            cr0: 0x6000_0010,
            ldt: table(2),
            tr: table(11),
            ..kvm_sregs::default()
        })
    }

    fn set_registers(
        &mut self,
        index: u32,
        special: &kvm_sregs,
        regs: &kvm_regs,
    ) -> io::Result<()> {
        // The registers of trust domains are not the monitor's to set.
        demand(self.kind == u64::from(KVM_X86_SNP_VM) && self.stage < Stage::Finished)?;
        let processor = self.processors.get_mut(index as usize);
        let processor = processor.ok_or_else(|| refused(libc::ENOENT))?;
        processor.registers = Some((*special, *regs));
        Ok(())
    }

    // SAFETY: `Hypervisor::sev` says what the caller vouches for.
    unsafe fn sev(&mut self, command: &mut kvm_sev_cmd) -> io::Result<()> {
        demand(self.kind == u64::from(KVM_X86_SNP_VM) && command.pad0 == 0)?;
        // SAFETY: the caller vouches that the command has the structure that it takes.
        let status = unsafe {
            match command.id {
                22 => self.init2(&*(command.data as *const _)).map(|()| 0),
                100 => self.start(&*(command.data as *const _)).map(|()| 0),
                101 => self.update(&mut *(command.data as *mut _)),
                102 => self.finish(&*(command.data as *const _)),
                _ => Err(refused(libc::EINVAL)),
            }
        }?;
        if status != 0 {
            command.error = status;
            return Err(refused(libc::EIO));
        }
        Ok(())
    }

    // SAFETY: `Hypervisor::tdx` says what the caller vouches for.
    unsafe fn tdx(&mut self, processor: Option<u32>, command: &mut kvm_tdx_cmd) -> io::Result<()> {
        demand(self.kind == u64::from(KVM_X86_TDX_VM) && command.hw_error == 0)?;
        demand(command.flags == 0 || command.id == command::INIT_MEM_REGION)?;
        // SAFETY: the caller vouches that the command has the structure that it takes.
        unsafe {
            match (command.id, processor) {
                (command::CAPABILITIES, None) => self.offer(&mut *(command.data as *mut _)),
                (command::INIT_VM, None) => self.init_vm(&*(command.data as *const _)),
                (command::INIT_VCPU, Some(index)) => {
                    demand(self.stage == Stage::Initialized)?;
                    let processor = self.processors.get_mut(index as usize);
                    let processor = processor.ok_or_else(|| refused(libc::ENOENT))?;
                    demand(!processor.initialized)?;
                    processor.initialized = true;
                    Ok(())
                }
                (command::INIT_MEM_REGION, Some(index)) => {
                    let made = self.processors.get(index as usize);
                    demand(made.is_some_and(|one| one.initialized))?;
                    self.add_pages(command.flags, &mut *(command.data as *mut _))
                }
                (command::FINALIZE_VM, None) if self.moods.status != 0 => {
                    command.hw_error = self.moods.status.into();
                    Err(refused(libc::EIO))
                }
                (command::FINALIZE_VM, None) => self.finalize(),
                _ => Err(refused(libc::EINVAL)),
            }
        }
    }
}

/// What can be chosen of a trust domain's CPUID.
fn configurable() -> Vec<kvm_cpuid_entry2> {
    let entry = |function, index, eax, ebx, ecx, edx| kvm_cpuid_entry2 {
        function,
        index,
        flags: 1,
        eax,
        ebx,
        ecx,
        edx,
        ..kvm_cpuid_entry2::default()
    };
    vec![
        entry(1, 0, 0x0FFF_3FFF, 0, 0x3FFF_FFFF, 0x0FFF_FFFF),
        entry(7, 0, 0, 0xD01F_4B67, 0x001F_FF7C, 0xFC10_0000),
        entry(0x8000_0008, 0, 0x00FF_0000, 1 << 9, 0, 0),
    ]
}

/// The save area that Linux makes of a processor (`sev_es_sync_vmsa`), by the offsets of AMD #24593,
/// volume 2, table B-4.
fn save_area(special: &kvm_sregs, regs: &kvm_regs, features: u64) -> Vec<u8> {
    let mut page = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    let segments = [
        (0x00, special.es),
        (0x10, special.cs),
        (0x20, special.ss),
        (0x30, special.ds),
        (0x40, special.fs),
        (0x50, special.gs),
        (0x70, special.ldt),
        (0x90, special.tr),
    ];
    for (at, segment) in segments {
        let bits = u16::from(segment.type_)
            | u16::from(segment.s) << 4
            | u16::from(segment.dpl) << 5
            | u16::from(segment.present) << 7
            | u16::from(segment.avl) << 8
            | u16::from(segment.l) << 9
            | u16::from(segment.db) << 10
            | u16::from(segment.g) << 11;
        put(at, &segment.selector.to_le_bytes());
        put(at + 2, &bits.to_le_bytes());
        put(at + 4, &segment.limit.to_le_bytes());
        put(at + 8, &segment.base.to_le_bytes());
    }
    // The limits of GDTR and IDTR after a reset.
    put(0x64, &0xFFFF_u32.to_le_bytes());
    put(0x84, &0xFFFF_u32.to_le_bytes());
    for (at, value) in [
        (0xD0, special.efer | 1 << 12),
        (0x148, special.cr4 | 1 << 6),
        (0x150, special.cr3),
        (0x158, special.cr0),
        (0x160, 0x400),
        (0x168, 0xFFFF_0FF0),
        (0x170, regs.rflags),
        (0x178, regs.rip),
        (0x1D8, regs.rsp),
        (0x1F8, regs.rax),
        (0x268, 0x0007_0406_0007_0406),
        (0x308, regs.rcx),
        (0x310, regs.rdx),
        (0x318, regs.rbx),
        (0x328, regs.rbp),
        (0x330, regs.rsi),
        (0x338, regs.rdi),
        (0x3B0, features),
        (0x3E8, 1),
    ] {
        put(at, &value.to_le_bytes());
    }
    put(0x408, &0x1F80_u32.to_le_bytes());
    put(0x410, &0x37F_u16.to_le_bytes());
    page
}
