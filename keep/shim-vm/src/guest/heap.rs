//! The shim's own heap.

use enarx_keep_shim::heap::{Growth, Heap};

use super::frames;

#[global_allocator]
static HEAP: Heap<Private> = Heap::new(Private);

/// Private memory.
struct Private;

// SAFETY: gives out memory of the shim's that nothing else uses, each piece once.
unsafe impl Growth for Private {
    const ZEROED: bool = false;

    fn grow(&self, bytes: u64) -> Option<u64> {
        frames::own(bytes)
    }
}
