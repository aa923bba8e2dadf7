//! A virtual CPU's save area (VMSA): with which registers it starts.
//!
//! AMD64 Architecture Programmer's Manual, volume 2 (AMD #24593), appendix B, table B-4
//! "VMSA Layout, State Save Area for SEV-ES". The launch measures the whole page.

use crate::PAGE_SIZE;

/// The guest physical address under which save areas are measured: all ones, cut to a page
/// and to the bits that addresses have.
pub const SAVE_AREA_ADDRESS: u64 = 0xffff_ffff_f000;

/// The registers that a virtual machine monitor sets before a launch. All that is not
/// named starts as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaveArea {
    /// ES, CS, SS, DS, FS and GS.
    pub segments: [Segment; 6],
    /// GDTR.
    pub global_descriptors: Segment,
    /// LDTR.
    pub local_descriptors: Segment,
    /// IDTR.
    pub interrupt_descriptors: Segment,
    /// TR.
    pub task: Segment,
    /// EFER.
    pub efer: u64,
    /// CR4.
    pub cr4: u64,
    /// CR3.
    pub cr3: u64,
    /// CR0.
    pub cr0: u64,
    /// DR7.
    pub dr7: u64,
    /// DR6.
    pub dr6: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// RIP.
    pub rip: u64,
    /// RSP.
    pub rsp: u64,
    /// The page attribute table as the guest sees it, `G_PAT`.
    pub page_attributes: u64,
    /// RDX, in which a processor starts with its signature.
    pub rdx: u64,
    /// RSI.
    pub rsi: u64,
    /// `SEV_FEATURES`, which say how the guest is protected.
    pub sev_features: u64,
    /// XCR0.
    pub xcr0: u64,
    /// MXCSR.
    pub mxcsr: u32,
    /// The control word of the x87 unit.
    pub x87_control: u16,
}

/// A segment register (table B-4): 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// The descriptor's attributes, packed into 12 bits.
    pub attributes: u16,
    /// The limit in bytes.
    pub limit: u32,
    /// The base address.
    pub base: u64,
}

impl SaveArea {
    /// The save area of a processor that KVM and QEMU start at `instruction_pointer` in
    /// real mode, after a reset (AMD #24593, volume 2, section 14.1.3), and whose CPUID
    /// signature (function 1, EAX) is `signature`.
    #[must_use]
    pub fn at_reset(instruction_pointer: u32, signature: u32, sev_features: u64) -> Self {
        let limit = 0xffff;
        let data = Segment {
            attributes: 0x93,
            limit,
            ..Segment::default()
        };
        let system = |attributes| Segment {
            attributes,
            limit,
            ..Segment::default()
        };
        let code = Segment {
            selector: 0xf000,
            attributes: 0x9b,
            limit,
            base: u64::from(instruction_pointer & 0xffff_0000),
        };
        Self {
            segments: [data, code, data, data, data, data],
            global_descriptors: system(0),
            local_descriptors: system(0x82),
            interrupt_descriptors: system(0),
            task: system(0x8b),
            // SVME, without which the guest would not run.
            efer: 0x1000,
            // MCE.
            cr4: 0x40,
            // ET.
            cr0: 0x10,
            dr7: 0x400,
            dr6: 0xffff_0ff0,
            rflags: 2,
            rip: u64::from(instruction_pointer & 0xffff),
            page_attributes: 0x0007_0406_0007_0406,
            rdx: u64::from(signature),
            sev_features,
            // The x87 unit.
            xcr0: 1,
            mxcsr: 0x1f80,
            x87_control: 0x37f,
            ..Self::default()
        }
    }

    /// The page, as it is measured.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        let tables = [
            self.global_descriptors,
            self.local_descriptors,
            self.interrupt_descriptors,
            self.task,
        ];
        for (index, segment) in self.segments.iter().chain(&tables).enumerate() {
            let at = index * SEGMENT_SIZE;
            page[at..at + SEGMENT_SIZE].copy_from_slice(&segment.encode());
        }
        for (offset, value) in [
            (0x0d0, self.efer),
            (0x148, self.cr4),
            (0x150, self.cr3),
            (0x158, self.cr0),
            (0x160, self.dr7),
            (0x168, self.dr6),
            (0x170, self.rflags),
            (0x178, self.rip),
            (0x1d8, self.rsp),
            (0x268, self.page_attributes),
            (0x310, self.rdx),
            (0x330, self.rsi),
            (0x3b0, self.sev_features),
            (0x3e8, self.xcr0),
        ] {
            page[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        page[0x408..0x40c].copy_from_slice(&self.mxcsr.to_le_bytes());
        page[0x410..0x412].copy_from_slice(&self.x87_control.to_le_bytes());
        page
    }
}

impl Segment {
    fn encode(self) -> [u8; SEGMENT_SIZE] {
        let mut bytes = [0; SEGMENT_SIZE];
        bytes[..2].copy_from_slice(&self.selector.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.attributes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.limit.to_le_bytes());
        bytes[8..].copy_from_slice(&self.base.to_le_bytes());
        bytes
    }
}

const SEGMENT_SIZE: usize = 16;
