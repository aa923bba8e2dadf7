//! Tables that the processor reads and that are there from the start: segments, exceptions, and
//! the first page tables.
//!
//! All of them are constants of the file, so that the entry code, which software KVM emulates
//! instruction by instruction, has nothing to fill in. Page tables can name each other and what
//! they map because everything has its address in `vm::layout`.

use core::sync::atomic::AtomicU64;

use enarx_wire_launch::{
    PAGE_SIZE,
    vm::layout::{self, window},
};

use super::{entry::private_bit, processor_page};

/// Entries of a page table.
pub const ENTRIES: usize = 512;

/// Bits of a page table's entry (Intel SDM volume 3A, 4.5; AMD64 APM volume 2, 5.4).
pub mod bit {
    pub const PRESENT: u64 = 1;
    pub const WRITE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const UNCACHED: u64 = 1 << 4;
    /// Set in advance, so that the processor does not have to.
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    /// The entry maps 2 MiB.
    pub const LARGE: u64 = 1 << 7;
    /// Of the first tables, what the host shares: for the entry code, the processor ignores it.
    pub const SHARED: u64 = 1 << 9;
    /// Of an entry that is not present, that the page was removed: the shim's own too.
    pub const REMOVED: u64 = 1 << 10;
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The address in an entry.
    pub const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
}

/// An entry with `bits` for private memory at `address`.
pub fn private(address: u64, bits: u64) -> u64 {
    address | bits | private_bit()
}

/// The address in an entry for private memory.
pub fn address_in(entry: u64) -> u64 {
    entry & bit::ADDRESS & !private_bit()
}

/// A page table.
#[repr(C, align(4096))]
pub struct Table(pub [AtomicU64; ENTRIES]);

/// Bytes that one entry of the second-lowest level maps.
pub const LARGE_PAGE: u64 = layout::LARGE_PAGE;

/// The first page tables, from the top down: each has the next one in it.
#[repr(C)]
pub struct FirstTables {
    /// Addresses of 512 GiB each. The first entry leads to all that is the shim's; without the
    /// bit for users in it, that is the shim's alone. The entry code sets the bit where the
    /// shim's body runs in ring 3.
    pub top: Table,
    gigabytes: Table,
    /// The first GiB, 2 MiB each.
    pub large: Table,
    /// The shim and the windows of processors.
    small: Table,
}

/// Where [`FIRST_TABLES`] lie: the linker puts them there.
pub const TABLES: u64 = layout::SHIM_DATA;
pub const GIGABYTES: u64 = TABLES + PAGE;
pub const LARGE: u64 = TABLES + 2 * PAGE;
pub const SMALL: u64 = TABLES + 3 * PAGE;

// SAFETY: nothing else is in this section, whose place the linker script fixes.
#[unsafe(link_section = ".tables")]
pub static FIRST_TABLES: FirstTables = FirstTables {
    top: one(GIGABYTES, bit::PRESENT | bit::WRITE),
    gigabytes: one(LARGE, INNER),
    large: large(),
    small: small(),
};

/// What an entry has that leads to another table: the last one decides.
pub const INNER: u64 = bit::PRESENT | bit::WRITE | bit::USER;

const PAGE: u64 = PAGE_SIZE as u64;
const LEAF: u64 = bit::PRESENT | bit::USER | bit::ACCESSED | bit::DIRTY;
const READ: u64 = LEAF | bit::NO_EXECUTE;
const EXECUTE: u64 = LEAF;
pub const READ_WRITE: u64 = LEAF | bit::WRITE | bit::NO_EXECUTE;

const fn one(address: u64, bits: u64) -> Table {
    let mut entries = [const { AtomicU64::new(0) }; ENTRIES];
    entries[0] = AtomicU64::new(address | bits);
    Table(entries)
}

const fn large() -> Table {
    let mut entries = [const { AtomicU64::new(0) }; ENTRIES];
    entries[(layout::SHIM / LARGE_PAGE) as usize] = AtomicU64::new(SMALL | INNER);
    entries[(layout::DOORBELL / LARGE_PAGE) as usize] =
        AtomicU64::new(layout::DOORBELL | READ_WRITE | bit::LARGE | bit::UNCACHED | bit::SHARED);
    let mut at = layout::BOOT_PAGE;
    while at < layout::RUNTIME_FILE_END {
        let bits = if at < layout::RUNTIME_FILE {
            READ_WRITE
        } else {
            READ
        };
        entries[(at / LARGE_PAGE) as usize] = AtomicU64::new(at | bits | bit::LARGE | bit::SHARED);
        at += LARGE_PAGE;
    }
    Table(entries)
}

const fn small() -> Table {
    let mut entries = [const { AtomicU64::new(0) }; ENTRIES];
    let mut index = 0;
    while index < ENTRIES {
        let address = layout::SHIM + index as u64 * PAGE;
        let bits = if address < layout::SHIM_CONSTANTS {
            EXECUTE
        } else if address < layout::SHIM_DATA {
            READ
        } else if address < layout::SHIM_END {
            READ_WRITE
        } else if address <= layout::INFO_PAGE || address == layout::CPUID_PAGE {
            READ
        } else if address == layout::SECRETS_PAGE
            || (address >= layout::WINDOWS
                && address < layout::window_of(layout::PROCESSORS)
                && is_in_use((address - layout::WINDOWS) % layout::WINDOW_SIZE))
        {
            READ_WRITE
        } else {
            0
        };
        if bits != 0 {
            entries[index] = AtomicU64::new(address | bits);
        }
        index += 1;
    }
    Table(entries)
}

/// Whether there is a page at this offset of a window.
const fn is_in_use(offset: u64) -> bool {
    (offset >= window::STACK && offset < window::STACK_END)
        || (offset >= window::FAULT_STACK && offset < window::FAULT_STACK_END)
        || offset == window::PROCESSOR_PAGE
}

/// Selectors of segments, laid out so that SYSCALL and SYSRET find theirs.
pub mod selector {
    /// Code in ring 0.
    pub const CODE: u16 = 0x10;
    /// Data in ring 0.
    pub const DATA: u16 = 0x18;
    /// Data in ring 3.
    pub const USER_DATA: u16 = 0x2B;
    /// Code in ring 3.
    pub const USER_CODE: u16 = 0x33;
    /// The task state of the first processor; two entries for each.
    pub const TASK: u16 = 0x40;
    /// What the register STAR has: SYSCALL takes CODE and DATA, SYSRET USER_CODE and USER_DATA.
    pub const STAR: u32 = 0x0023_0010;
}

const SEGMENTS: usize = selector::TASK as usize / 8 + 2 * layout::PROCESSORS as usize;

/// Segment descriptors. The processor marks task states as busy.
#[repr(C, align(16))]
pub struct Segments([AtomicU64; SEGMENTS]);

pub static SEGMENT_TABLE: Segments = Segments({
    let mut entries = [const { AtomicU64::new(0) }; SEGMENTS];
    // Flat segments: present, accessed; code can be read, data written (AMD64 APM volume 2, 4.8).
    entries[2] = AtomicU64::new(0x00AF_9B00_0000_FFFF);
    entries[3] = AtomicU64::new(0x00CF_9300_0000_FFFF);
    entries[5] = AtomicU64::new(0x00CF_F300_0000_FFFF);
    entries[6] = AtomicU64::new(0x00AF_FB00_0000_FFFF);
    let mut index = 0;
    while index < layout::PROCESSORS {
        let base =
            layout::window_of(index) + window::PROCESSOR_PAGE + processor_page::TASK_STATE as u64;
        let at = selector::TASK as usize / 8 + 2 * index as usize;
        const AVAILABLE_TASK: u64 = 0x89 << 40;
        let limit = processor_page::TASK_STATE_SIZE as u64 - 1;
        entries[at] = AtomicU64::new(
            AVAILABLE_TASK | limit | (base & 0xFF_FFFF) << 16 | (base >> 24 & 0xFF) << 56,
        );
        index += 1;
    }
    entries
});

/// Size of [`SEGMENT_TABLE`] less one, as LGDT wants it.
pub const SEGMENTS_LIMIT: u16 = (SEGMENTS * 8 - 1) as u16;

/// Exceptions that there are.
pub const EXCEPTIONS: usize = 32;

/// Bytes between the handlers of two exceptions.
pub const HANDLER_SIZE: u64 = 16;

/// Where the handlers begin that are for a body in ring 0: the linker puts them there.
pub const SUPERVISOR_HANDLERS: u64 = layout::SHIM + 0x400;

/// Where those begin that are for a body in ring 3.
pub const USER_HANDLERS: u64 = SUPERVISOR_HANDLERS + HANDLER_SIZE * EXCEPTIONS as u64;

/// Gates of exceptions, two words each.
#[repr(C, align(16))]
pub struct Gates([[u64; 2]; EXCEPTIONS]);

/// The gates that lead to handlers from `handlers` on. Where `always` says so, they have a stack of their own
/// even in ring 0.
const fn gates(handlers: u64, always: bool) -> Gates {
    const BREAKPOINT: usize = 3;
    /// A present interrupt gate (AMD64 APM volume 2, 4.8.4).
    const GATE: u64 = 0x8E << 40;
    /// The instruction INT3 may use it.
    const FOR_USERS: u64 = 3 << 45;
    const STACK: u64 = 1 << 32;
    let mut gates = [[0; 2]; EXCEPTIONS];
    let mut index = 0;
    while index < EXCEPTIONS {
        let handler = handlers + HANDLER_SIZE * index as u64;
        let kind = match index {
            BREAKPOINT => GATE | FOR_USERS,
            _ => GATE,
        };
        let stack = if always { STACK } else { 0 };
        gates[index][0] = kind
            | stack
            | (selector::CODE as u64) << 16
            | handler & 0xFFFF
            | (handler >> 16 & 0xFFFF) << 48;
        index += 1;
    }
    Gates(gates)
}

/// The gates where the body runs in ring 0.
pub static SUPERVISOR_GATES: Gates = gates(SUPERVISOR_HANDLERS, true);

/// The gates where the body runs in ring 3.
pub static USER_GATES: Gates = gates(USER_HANDLERS, false);

/// Size of either less one, as LIDT wants it.
pub const GATES_LIMIT: u16 = (EXCEPTIONS * 16 - 1) as u16;
