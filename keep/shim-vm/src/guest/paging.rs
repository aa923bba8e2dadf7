//! The runtime's page tables.

use alloc::vec::Vec;
use core::{
    arch::asm,
    ops::Range,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use enarx_keep_shim::{
    Stop,
    memory::{Access, PAGE, Pages},
};
use enarx_wire_launch::vm::layout;
use rangemap::RangeSet;
use spin::Mutex;

use super::{
    entry::body_in_ring_3,
    frames,
    handlers::guest_user_forget,
    heap,
    platform::Machine,
    processor_page, stop,
    tables::{
        ENTRIES, FIRST_TABLES, INNER, LARGE_PAGE, READ_WRITE, Table, address_in, bit, private,
    },
    tee::tee,
};
use crate::generations::Generations;

impl Pages for Machine {
    fn add(&self, range: Range<u64>) {
        let mut again = 0;
        each(range.clone(), |entry, _| {
            let before = entry.load(Ordering::Relaxed);
            let (frame, is_new) = match address_in(before) {
                0 => frames::page().unwrap_or_else(|| stop(Stop::Memory)),
                kept => (kept, false),
            };
            if !is_new || !tee().gives_zeros() {
                // SAFETY: a page that was the runtime's, or is to be, mapped to nothing else now. Once the
                // runtime can reach it, other threads write there.
                unsafe { ptr::write_bytes(own(frame) as *mut u8, 0, PAGE as usize) };
            }
            again += if before & bit::REMOVED == 0 { 0 } else { PAGE };
            entry.store(private(frame, READ_WRITE), Ordering::Release);
        });
        if again != 0 {
            frames::keep(0, again);
            REMOVED.lock().get_or_insert_default().remove(range);
        }
        give_back(MUCH);
    }

    /// The memory stays with its address as long as other processors may remember it, or until pages are
    /// added there again: they must not meet in it what lies elsewhere, nor miss what lies there.
    fn remove(&self, range: Range<u64>) {
        each(range.clone(), |entry, _| {
            let frame = address_in(entry.load(Ordering::Relaxed));
            entry.store(private(frame, bit::REMOVED), Ordering::Release);
        });
        frames::keep(range.end - range.start, 0);
        REMOVED.lock().get_or_insert_default().insert(range.clone());
        forget(range);
        give_back(MUCH);
    }

    fn remembered(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let removed = REMOVED.lock();
        let parts = removed
            .iter()
            .flat_map(|removed| removed.overlapping(range));
        let within = |part: &Range<u64>| part.start.max(range.start)..part.end.min(range.end);
        parts.map(within).collect()
    }

    fn restrict(&self, range: Range<u64>, access: Access) {
        change(range.clone(), access);
        forget(range);
    }

    fn extend(&self, range: Range<u64>, access: Access) {
        change(range.clone(), access);
        // Others may remember what was. An access that they refuse is made again then.
        if !body_in_ring_3() {
            forget_here(range);
        }
    }

    fn zero(&self, range: Range<u64>) {
        let length = (range.end - range.start) as usize;
        // SAFETY: pages that exist and can be written, which hold nothing of the shim's, by
        // the contract of `Pages`.
        unsafe { ptr::write_bytes(range.start as *mut u8, 0, length) };
    }

    /// With the tables for them: there may be none later. Pages that stay with their addresses in `range` are
    /// those that will be there.
    fn promise(&self, range: Range<u64>, bytes: u64) -> bool {
        let kept = || {
            let parts = self.remembered(&range).into_iter();
            parts.map(|part| part.end - part.start).sum()
        };
        let again = || {
            give_back(0);
            frames::promise(bytes, kept())
        };
        let Some(before) = frames::promise(bytes, kept()).or_else(again) else {
            return false;
        };
        let done = range.is_empty() || (heap::has_room() && make_tables(range) && heap::has_room());
        if !done {
            frames::promise(before, 0);
        }
        done
    }
}

/// Makes the tables for the pages in `range`, if there is memory for them.
pub fn make_tables(range: Range<u64>) -> bool {
    let first = range.start / LARGE_PAGE * LARGE_PAGE;
    (first..range.end)
        .step_by(LARGE_PAGE as usize)
        .all(|at| find_table(at, 0).is_some())
}

/// Makes the tables by which the shim reaches `bytes` of private memory itself.
pub fn begin(bytes: u64) {
    for frame in (0..layout::PRIVATE + bytes).step_by(ENTRIES * LARGE_PAGE as usize) {
        table(OWN + frame, 1);
    }
}

/// Maps memory at `frame` to the pages in `range`, in large pages where both have them: software KVM takes as
/// long for a large page as for a small one.
pub fn map(range: Range<u64>, frame: u64, access: Access) {
    let mut at = range.start;
    while at < range.end {
        let from = frame + (at - range.start);
        let is_large = (at | from).is_multiple_of(LARGE_PAGE) && range.end - at >= LARGE_PAGE;
        let (level, size, large) = match is_large {
            true => (1, LARGE_PAGE, bit::LARGE),
            false => (0, PAGE, 0),
        };
        let entry = &table(at, level).0[index(at, level)];
        entry.store(private(from, bits(access) | large), Ordering::Release);
        at += size;
    }
}

/// Where the shim itself reaches the memory at `frame`, which the runtime has elsewhere or is to have. The
/// 2 MiB around it are mapped there from now on.
pub fn own(frame: u64) -> u64 {
    let address = OWN + frame;
    let user = if body_in_ring_3() { bit::USER } else { 0 };
    let bits = READ_WRITE & !bit::USER | user | bit::LARGE;
    let entry = &table(address, 1).0[index(address, 1)];
    let large = frame / LARGE_PAGE * LARGE_PAGE;
    entry.store(private(large, bits), Ordering::Release);
    address
}

/// Where it does so: behind all that the runtime maps.
pub const OWN: u64 = layout::USER_END;

fn change(range: Range<u64>, access: Access) {
    each(range, |entry, _| {
        let frame = address_in(entry.load(Ordering::Relaxed));
        entry.store(private(frame, bits(access)), Ordering::Release);
    });
}

/// The bits of an entry. Without any access it is not present, and its address stays.
fn bits(access: Access) -> u64 {
    if !access.allows(Access::READ) {
        return 0;
    }
    let write = if access.allows(Access::WRITE) {
        bit::WRITE
    } else {
        0
    };
    let no_execute = if access.allows(Access::EXECUTE) {
        0
    } else {
        bit::NO_EXECUTE
    };
    bit::PRESENT | bit::USER | bit::ACCESSED | bit::DIRTY | write | no_execute
}

/// Does something with the entry of each page in `range`.
fn each(range: Range<u64>, mut act: impl FnMut(&AtomicU64, u64)) {
    let mut at = range.start;
    while at < range.end {
        let table = table(at, 0);
        let end = (at / LARGE_PAGE + 1) * LARGE_PAGE;
        while at < range.end.min(end) {
            act(&table.0[index(at, 0)], at);
            at += PAGE;
        }
    }
}

/// The table of `level` that is for `address`, from the lowest, 0. It was made before, or there is memory
/// for it.
fn table(address: u64, level: u32) -> &'static Table {
    find_table(address, level).unwrap_or_else(|| stop(Stop::Memory))
}

/// The same table. If it is missing it is made, if there is memory for it.
fn find_table(address: u64, level: u32) -> Option<&'static Table> {
    const TOP: u32 = 3;
    let mut table = &FIRST_TABLES.top;
    for above in (level + 1..=TOP).rev() {
        let entry = &table.0[index(address, above)];
        let mut found = entry.load(Ordering::Acquire);
        if found & bit::PRESENT == 0 {
            found = private(frames::table()?, INNER);
            entry.store(found, Ordering::Release);
        } else if found & bit::LARGE != 0 {
            found = split(found)?;
            entry.store(found, Ordering::Release);
        }
        // SAFETY: entries above the lowest level that are present and not large name tables, which are
        // mapped where they lie and never go away. Where `own` has large pages, nobody asks for a lower level.
        table = unsafe { &*(address_in(found) as *const Table) };
    }
    Some(table)
}

/// Makes the small pages of a large one, which is `large`; gives the entry that leads to them.
fn split(large: u64) -> Option<u64> {
    let table = frames::table()?;
    // SAFETY: a table that was just given out to this alone, mapped where it lies.
    let small = unsafe { &*(table as *const Table) };
    for (entry, at) in small.0.iter().zip((0..).step_by(PAGE as usize)) {
        entry.store((large & !bit::LARGE) + at, Ordering::Relaxed);
    }
    Some(private(table, INNER))
}

const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize % 512
}

static GENERATIONS: Generations<{ layout::PROCESSORS as usize }> = Generations::new();

/// Where pages were removed that stay with their addresses. Whoever changes the tables has the lock of the
/// runtime's address space.
static REMOVED: Mutex<Option<RangeSet<u64>>> = Mutex::new(None);

/// Bytes that stay with their addresses although nobody remembers them: most come again there, and each
/// change of a table can cost as much as a fault.
const MUCH: u64 = 2 * LARGE_PAGE;

/// Gives removed pages back if no processor can remember any of them, and they are more than `few` bytes.
fn give_back(few: u64) {
    if frames::keep(0, 0) <= few || !GENERATIONS.is_forgotten() {
        return frames::return_surplus();
    }
    let removed = REMOVED.lock().take();
    for range in removed.iter().flat_map(RangeSet::iter).cloned() {
        let mut bytes = 0;
        each(range, |entry, _| {
            let removed = entry.load(Ordering::Relaxed);
            if removed & bit::REMOVED != 0 {
                entry.store(0, Ordering::Release);
                frames::free(address_in(removed));
                bytes += PAGE;
            }
        });
        frames::keep(0, bytes);
    }
    frames::return_surplus();
}

/// This processor goes to its host.
pub fn leave() {
    GENERATIONS.leave(processor());
}

/// This processor is back from its host.
pub fn come_back() {
    GENERATIONS.come_back(processor());
    catch_up();
}

/// Forgets translations that others have changed. Each processor does so when it comes to the
/// shim, when the host lets it go on there, and when it leaves: access that one thread takes away,
/// others may have until then, and none that has heard of it by way of the shim.
pub fn catch_up() {
    if GENERATIONS.known(processor()) != GENERATIONS.latest() {
        forget_all();
    }
}

fn forget(range: Range<u64>) {
    let before = GENERATIONS.advance();
    if body_in_ring_3() || GENERATIONS.known(processor()) != before {
        forget_all();
    } else {
        forget_here(range);
        GENERATIONS.learn(processor(), before + 1);
    }
}

/// Forgets all translations of this processor, and only then says that it knows.
fn forget_all() {
    let generation = GENERATIONS.latest();
    if body_in_ring_3() {
        guest_user_forget();
    } else {
        // SAFETY: writes what is there, in ring 0.
        unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack)) };
    }
    GENERATIONS.learn(processor(), generation);
}

/// Forgets the translations of some pages of this processor, in ring 0.
fn forget_here(range: Range<u64>) {
    /// From so many pages on, forgetting everything is quicker.
    const MANY: u64 = 32;
    if (range.end - range.start) / PAGE > MANY {
        forget_all();
        return;
    }
    for page in range.step_by(PAGE as usize) {
        // SAFETY: changes nothing but what the processor remembers, in ring 0.
        unsafe { asm!("invlpg [{}]", in(reg) page, options(nostack)) };
    }
}

fn processor() -> usize {
    processor_page::index() as usize
}
