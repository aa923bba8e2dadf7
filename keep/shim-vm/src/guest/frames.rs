//! Private memory: who has which of it.
//!
//! The shim's own memory (its heap and page tables) grows from the bottom, mapped where it lies; that of
//! the runtime from the top, mapped where the runtime wants it, and for the shim in a place of its own
//! ([`own`](super::paging::own)). None of it ever comes back: what the runtime unmaps stays with its address. So what lies above one end and below
//! the other was accepted, once, when that end got there, and nothing between them.

use core::{ptr, sync::atomic::Ordering};

use enarx_keep_shim::memory::PAGE;
use enarx_wire_launch::vm::layout;
use spin::Mutex;

use super::{
    tables::{ENTRIES, FIRST_TABLES, LARGE_PAGE, READ_WRITE, bit, private},
    tee::tee,
};

struct Frames {
    /// The first byte that the shim has not used.
    next: u64,
    /// The end of what is mapped for it.
    mapped: u64,
    /// The lowest byte that the runtime has.
    runtime: u64,
    /// The lowest byte above those that was accepted for it.
    accepted: u64,
}

static FRAMES: Mutex<Frames> = Mutex::new(Frames {
    next: layout::PRIVATE,
    mapped: layout::PRIVATE,
    runtime: layout::PRIVATE,
    accepted: layout::PRIVATE,
});

/// The end of what the first page tables can map.
const OWN_END: u64 = ENTRIES as u64 * LARGE_PAGE;

/// Takes note that there are `bytes` of private memory, a multiple of 2 MiB.
pub fn begin(bytes: u64) {
    let mut frames = FRAMES.lock();
    frames.runtime = layout::PRIVATE + bytes;
    frames.accepted = frames.runtime;
}

/// Gives `bytes` of memory for the shim's own use, with anything in it: a multiple of pages.
pub fn own(bytes: u64) -> Option<u64> {
    let mut frames = FRAMES.lock();
    let start = frames.next;
    let end = start.checked_add(bytes)?;
    while frames.mapped < end {
        let large = frames.mapped;
        if large + LARGE_PAGE > frames.runtime.min(OWN_END) {
            return None;
        }
        tee().accept(large..large + LARGE_PAGE);
        let entry = &FIRST_TABLES.large.0[(large / LARGE_PAGE) as usize];
        entry.store(private(large, READ_WRITE | bit::LARGE), Ordering::Release);
        frames.mapped = large + LARGE_PAGE;
    }
    frames.next = end;
    Some(start)
}

/// Gives a page table without entries.
pub fn table() -> Option<u64> {
    let table = own(PAGE)?;
    // SAFETY: a page that was just given out to this alone, mapped where it lies.
    unsafe { ptr::write_bytes(table as *mut u8, 0, PAGE as usize) };
    Some(table)
}

/// Gives `bytes` of memory that lie one behind the other and are not mapped, from a multiple of
/// `alignment` on.
pub fn take(bytes: u64, alignment: u64) -> Option<u64> {
    let mut frames = FRAMES.lock();
    let start = frames.runtime.checked_sub(bytes)? / alignment * alignment;
    if start < frames.mapped {
        return None;
    }
    while frames.accepted > start {
        let large = frames.accepted - LARGE_PAGE;
        tee().accept(large..frames.accepted);
        frames.accepted = large;
    }
    frames.runtime = start;
    Some(start)
}
