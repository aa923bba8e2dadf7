//! The page with which a processor speaks to its hypervisor (AMD #56421, "Guest-Hypervisor Communication
//! Block"). What the hypervisor writes there is read once, and never more than a number.

use core::ops::Range;

use enarx_keep_shim::Stop;
use enarx_wire_launch::{PAGE_SIZE, vm::layout};

use super::{
    super::super::{processor_page, stop, tables::LARGE_PAGE},
    instructions,
};
use crate::snp::message::Page;

/// A processor's page, in shared memory.
pub struct Ghcb {
    /// Where the processor's block lies, which has the page in it.
    block: u64,
}

impl Ghcb {
    /// This processor's.
    pub fn current() -> Self {
        Self {
            block: layout::block(processor_page::index()),
        }
    }

    /// Tells the hypervisor where the page lies (2.3.2, "GHCB GPA Register").
    pub fn register(&self) {
        const REGISTER: u64 = 0x012;
        const REGISTERED: u64 = 0x013;
        if ask(self.address() | REGISTER) != self.address() | REGISTERED {
            stop(Stop::Tee);
        }
    }

    /// Writes four bytes to a port.
    pub fn write_to_port(&self, port: u16, value: u32) {
        const PORT: u64 = 0x7B;
        const FOUR_BYTES: u64 = 1 << 6;
        const LONG_ADDRESSES: u64 = 1 << 9;
        self.write(field::RAX, value.into());
        let what = u64::from(port) << 16 | LONG_ADDRESSES | FOUR_BYTES;
        self.exit(PORT, [what, 0], valid(field::RAX));
    }

    /// Has the hypervisor make pages private or shared (4.1.6, "SNP Page State Change").
    pub fn change_pages(&self, range: Range<u64>, to: PageState) {
        const PAGE_STATE_CHANGE: u64 = 0x8000_0010;
        const STATE: u32 = 52;
        const LARGE: u64 = 1 << 56;
        /// Entries for which there is room.
        const MOST: u64 = 253;
        let mut at = range.start;
        while at < range.end {
            let mut count = 0;
            while at < range.end && count < MOST {
                let large = at.is_multiple_of(LARGE_PAGE) && range.end - at >= LARGE_PAGE;
                let (kind, size) = if large {
                    (LARGE, LARGE_PAGE)
                } else {
                    (0, PAGE_SIZE as u64)
                };
                let entry = at | (to as u64) << STATE | kind;
                self.write(field::BUFFER + 8 + 8 * count, entry);
                (at, count) = (at + size, count + 1);
            }
            // From the first entry to the last. The hypervisor may come back before it is through.
            let last = count - 1;
            let mut next = 0;
            while next <= last {
                self.write(field::BUFFER, next | last << 16);
                self.write(field::SCRATCH, self.address() + field::BUFFER);
                let failed = self.exit(PAGE_STATE_CHANGE, [0, 0], valid(field::SCRATCH)) != 0;
                let now = self.read(field::BUFFER) & 0xFFFF;
                if failed || now <= next {
                    stop(Stop::Page);
                }
                next = now;
            }
        }
    }

    /// Has the hypervisor take a message to the firmware and bring the answer (4.1.7, "SNP Guest
    /// Request"); gives its status.
    pub fn guest_request(&self, request: &Page, answer: &mut Page) -> u64 {
        const GUEST_REQUEST: u64 = 0x8000_0011;
        let (from, to) = (layout::GUEST_REQUEST, layout::GUEST_RESPONSE);
        for (at, word) in (from..).step_by(8).zip(request.as_chunks().0) {
            self.place(at, u64::from_le_bytes(*word));
        }
        let status = self.exit(GUEST_REQUEST, [from, to].map(|at| self.block + at), 0);
        for (at, word) in (to..).step_by(8).zip(answer.as_chunks_mut().0) {
            *word = self.fetch(at).to_le_bytes();
        }
        status
    }

    /// Leaves for the hypervisor, to do what `code` says; `fields` are those that are valid beside the
    /// code and what it is about. Gives the second word that comes back.
    fn exit(&self, code: u64, about: [u64; 2], fields: u128) -> u64 {
        /// Version of the protocol, in the word that has its format too, which is 0.
        const VERSION: u64 = 2 << 16;
        let all = fields | valid(field::CODE) | valid(field::FIRST) | valid(field::SECOND);
        for (at, value) in [
            (field::CODE, code),
            (field::FIRST, about[0]),
            (field::SECOND, about[1]),
            (field::VALID, all as u64),
            (field::VALID + 8, (all >> 64) as u64),
            (field::VERSION, VERSION),
        ] {
            self.write(at, value);
        }
        instructions::leave(self.address());
        if self.read(field::FIRST) & 0xFFFF_FFFF != 0 {
            stop(Stop::Tee);
        }
        self.read(field::SECOND)
    }

    fn address(&self) -> u64 {
        self.block + layout::GHCB
    }

    fn write(&self, at: u64, value: u64) {
        self.place(layout::GHCB + at, value);
    }

    fn read(&self, at: u64) -> u64 {
        self.fetch(layout::GHCB + at)
    }

    /// Writes a word at an offset of the processor's block.
    fn place(&self, at: u64, value: u64) {
        // SAFETY: within the room for the block, which is shared memory, mapped where it lies, and this
        // processor's alone.
        unsafe { ((self.block + at) as *mut u64).write_volatile(value) };
    }

    fn fetch(&self, at: u64) -> u64 {
        // SAFETY: as in `place`.
        unsafe { ((self.block + at) as *const u64).read_volatile() }
    }
}

/// Whose pages are.
#[derive(Debug, Clone, Copy)]
pub enum PageState {
    Private = 1,
    Shared = 2,
}

/// Offsets in the page (table "GHCB Layout").
mod field {
    pub const RAX: u64 = 0x1F8;
    pub const CODE: u64 = 0x390;
    pub const FIRST: u64 = 0x398;
    pub const SECOND: u64 = 0x3A0;
    pub const SCRATCH: u64 = 0x3A8;
    pub const VALID: u64 = 0x3F0;
    pub const BUFFER: u64 = 0x800;
    pub const VERSION: u64 = 0xFF8;
}

/// The bit that says that a field is valid.
const fn valid(field: u64) -> u128 {
    1 << (field / 8)
}

/// Makes sure, without such a page yet, that the hypervisor speaks the protocol and runs SEV-SNP, with
/// private memory where this shim has it (2.3.1, "SEV Information", "Hypervisor Feature Support").
pub fn negotiate(private: u64) {
    const INFORMATION: u64 = 0x002;
    const FEATURES: u64 = 0x080;
    const SNP: u64 = 1;
    let information = ask(INFORMATION);
    let (most, least) = (information >> 48, information >> 32 & 0xFFFF);
    let features = ask(FEATURES);
    if information & 0xFFF != 0x001
        || !(least..=most).contains(&2)
        || 1u64.checked_shl((information >> 24 & 0xFF) as u32) != Some(private)
        || features & 0xFFF != 0x081
        || features >> 12 & SNP == 0
    {
        stop(Stop::Tee);
    }
}

/// Asks the hypervisor by the register alone.
fn ask(value: u64) -> u64 {
    instructions::leave(value);
    instructions::answer()
}
