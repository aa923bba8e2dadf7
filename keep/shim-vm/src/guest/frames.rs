//! Private memory: who has which of it.
//!
//! The shim's own memory (its heap and page tables) grows from the bottom, mapped where it lies; that of
//! the runtime from the top, mapped where the runtime wants it, and for the shim in a place of its own
//! ([`own`](super::paging::own)). What lies above one end and below the other was accepted, once, when that end
//! got there, and nothing between them. Of the runtime's, what it gave back is used again. Blocks of it that are not,
//! the host gets back; each is accepted again, once, when the first of its pages is used.
//!
//! Everything comes from this one pool. The runtime is told that there is no more when it asks for pages,
//! never when it touches them: what it was promised then the shim leaves to it.

use core::{ops::Range, ptr, sync::atomic::Ordering};

use enarx_keep_shim::memory::PAGE;
use enarx_wire_launch::vm::layout;
use spin::Mutex;

use super::{
    tables::{ENTRIES, FIRST_TABLES, LARGE_PAGE, READ_WRITE, bit, private},
    tee::tee,
};
use crate::free::FreePages;

struct Frames {
    /// The first byte that the shim has not used.
    next: u64,
    /// The end of what is mapped for it.
    mapped: u64,
    /// The lowest byte that the runtime has.
    runtime: u64,
    /// The lowest byte above those that was accepted for it.
    accepted: u64,
    /// The end of all.
    end: u64,
    /// Bytes that the runtime has from the start.
    first: u64,
    /// Bytes that it was promised beside those.
    promised: u64,
    /// Bytes that it has unmapped and that stay with their addresses.
    kept: u64,
    /// Bytes of pages that the shim has of those that are the runtime's otherwise.
    lent: u64,
    /// Of the pages from the start, those that were given back.
    free: FreePages,
}

impl Frames {
    /// The end of what the shim can have without breaking a promise of so many bytes, beside so many that
    /// are kept.
    fn own_end(&self, promised: u64, kept: u64) -> u64 {
        let taken = [self.first, promised, kept, self.lent].into_iter();
        self.end
            .saturating_sub(taken.fold(0, u64::saturating_add))
            .min(OWN_END)
    }

    fn page(&mut self) -> Option<(u64, bool)> {
        let Some((number, was_returned)) = self.free.take() else {
            return Some((self.take(PAGE, PAGE)?, true));
        };
        let page = layout::PRIVATE + number * PAGE;
        if was_returned {
            let block = page / LARGE_PAGE * LARGE_PAGE;
            tee().accept(block..block + LARGE_PAGE);
        }
        Some((page, false))
    }

    fn take(&mut self, bytes: u64, alignment: u64) -> Option<u64> {
        let start = self.runtime.checked_sub(bytes)? / alignment * alignment;
        if start < self.mapped {
            return None;
        }
        while self.accepted > start {
            let large = self.accepted - LARGE_PAGE;
            tee().accept(large..self.accepted);
            self.accepted = large;
        }
        self.runtime = start;
        Some(start)
    }
}

static FRAMES: Mutex<Frames> = Mutex::new(Frames {
    next: layout::PRIVATE,
    mapped: layout::PRIVATE,
    runtime: layout::PRIVATE,
    accepted: layout::PRIVATE,
    end: layout::PRIVATE,
    first: 0,
    promised: 0,
    kept: 0,
    lent: 0,
    free: FreePages::NONE,
});

/// The end of what the first page tables can map.
const OWN_END: u64 = ENTRIES as u64 * LARGE_PAGE;

/// Takes note that there are `bytes` of private memory, a multiple of 2 MiB.
pub fn begin(bytes: u64) {
    let mut frames = FRAMES.lock();
    frames.runtime = layout::PRIVATE + bytes;
    frames.accepted = frames.runtime;
    frames.end = frames.runtime;
    drop(frames);
    let free = FreePages::new((bytes / LARGE_PAGE) as usize);
    FRAMES.lock().free = free;
}

/// Bytes of the heap that nobody gets who can do without them, unless it can grow by as many: more than all
/// threads' calls need, and what is noted of pages that the runtime touches here and there.
pub fn spare_heap() -> Option<u64> {
    const OF_CALLS: u64 = 2 << 20;
    let frames = FRAMES.lock();
    let spare = OF_CALLS + (frames.end - layout::PRIVATE) / 512;
    let end = frames
        .own_end(frames.promised, frames.kept)
        .min(frames.runtime);
    (end < frames.mapped + spare).then_some(spare)
}

/// Takes note that the runtime begins with what it has, and `more` bytes that it was not promised.
pub fn begin_promises(more: u64) {
    let mut frames = FRAMES.lock();
    frames.first = frames.end - frames.runtime + more;
}

/// Promises the runtime so many bytes in all beside what it began with, of which so many are `kept` ones, and
/// gives how many it was promised before; `None` if there are not so many.
pub fn promise(bytes: u64, kept: u64) -> Option<u64> {
    let mut frames = FRAMES.lock();
    let before = frames.promised;
    if bytes > before && frames.own_end(bytes, frames.kept - kept) < frames.mapped {
        return None;
    }
    frames.promised = bytes;
    Some(before)
}

/// Takes note of how many bytes the runtime has unmapped since, which are there for it alone, and how many
/// of those it has again or not any more; gives how many are left.
pub fn keep(unmapped: u64, again: u64) -> u64 {
    let mut frames = FRAMES.lock();
    frames.kept = frames.kept + unmapped - again;
    frames.kept
}

/// Gives `bytes` of memory for the shim's own use, with anything in it: a multiple of pages.
pub fn own(bytes: u64) -> Option<u64> {
    let mut frames = FRAMES.lock();
    let start = frames.next;
    let end = start.checked_add(bytes)?;
    while frames.mapped < end {
        let large = frames.mapped;
        if large + LARGE_PAGE
            > frames
                .own_end(frames.promised, frames.kept)
                .min(frames.runtime)
        {
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

/// Gives a page for the runtime, not mapped, and whether it is one that nobody had yet: others have anything
/// in them.
pub fn page() -> Option<(u64, bool)> {
    FRAMES.lock().page()
}

/// Gives such a page to the shim itself, if no promise needs it.
pub fn lend() -> Option<u64> {
    let mut frames = FRAMES.lock();
    if frames.own_end(frames.promised, frames.kept) < frames.mapped + PAGE {
        return None;
    }
    let (page, _) = frames.page()?;
    frames.lent += PAGE;
    Some(page)
}

/// Takes back what was lent.
pub fn take_back(page: u64) {
    let mut frames = FRAMES.lock();
    frames.lent -= PAGE;
    frames.free.insert(number(page));
}

/// Takes a page back that no processor can reach any more.
pub fn free(page: u64) {
    FRAMES.lock().free.insert(number(page));
}

/// Returns to the host what is free, as long as there is much of it.
pub fn return_surplus() {
    /// Blocks of 2 MiB: from so many on they are returned, and so many are kept for what comes next.
    const MANY: usize = 8;
    const KEPT: usize = 2;
    let mut many = MANY;
    loop {
        let surplus = FRAMES.lock().free.surplus(many, KEPT);
        let Some(Range { start, end }) = surplus else {
            return;
        };
        tee().give_back(layout::PRIVATE + start * PAGE..layout::PRIVATE + end * PAGE);
        FRAMES.lock().free.put_back(start..end);
        many = 0;
    }
}

/// The number of a page in all private memory.
fn number(page: u64) -> u64 {
    (page - layout::PRIVATE) / PAGE
}

/// Gives `bytes` of memory that lie one behind the other and are not mapped, from a multiple of
/// `alignment` on.
pub fn take(bytes: u64, alignment: u64) -> Option<u64> {
    FRAMES.lock().take(bytes, alignment)
}
