//! The shim's own heap.

use core::alloc::{GlobalAlloc, Layout};

use enarx_keep_shim::{
    heap::{Growth, Heap},
    memory::PAGE,
};

use super::{frames, paging};

#[global_allocator]
static HEAP: Paged = Paged(Heap::new(Private));

/// A heap whose single pages come from where the runtime's do, and go back there: such are the contents of
/// files.
struct Paged(Heap<Private>);

// SAFETY: pages that nobody else has, mapped for the shim alone, or what the heap beneath gives. The
// addresses tell the two apart.
unsafe impl GlobalAlloc for Paged {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let is_page = layout.size() as u64 == PAGE && layout.align() as u64 <= PAGE;
        match is_page.then(frames::lend).flatten() {
            Some(page) => paging::own(page) as *mut u8,
            // SAFETY: by this function's own contract.
            None => unsafe { self.0.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match (pointer as u64).checked_sub(paging::OWN) {
            Some(page) => frames::take_back(page),
            // SAFETY: the pointer came from there, with this layout.
            None => unsafe { self.0.dealloc(pointer, layout) },
        }
    }
}

/// Whether there is more than what calls need that must not fail.
pub fn has_room() -> bool {
    frames::spare_heap().is_none_or(|bytes| HEAP.0.can_give(bytes as usize))
}

/// Private memory.
struct Private;

// SAFETY: gives out memory of the shim's that nothing else uses, each piece once.
unsafe impl Growth for Private {
    const ZEROED: bool = false;

    fn grow(&self, bytes: u64) -> Option<u64> {
        frames::own(bytes)
    }
}
