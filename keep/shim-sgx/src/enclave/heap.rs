//! The shim's own heap.

use enarx_keep_shim::heap::{Growth, Heap};
use enarx_wire_launch::sgx::layout;
use spin::Mutex;

use super::{entry, pages};

#[global_allocator]
static HEAP: Heap<NewPages> = Heap::new(NewPages {
    used: Mutex::new(0),
});

/// Pages that are added to the enclave: one end that only moves up.
struct NewPages {
    /// Bytes in use.
    used: Mutex<u64>,
}

// SAFETY: gives out pages of the enclave that nothing else uses, each once; new ones are zeroed.
unsafe impl Growth for NewPages {
    const ZEROED: bool = true;

    fn grow(&self, bytes: u64) -> Option<u64> {
        let mut used = self.used.lock();
        let start = layout::SHIM_HEAP + *used;
        let end = start
            .checked_add(bytes)
            .filter(|end| *end <= layout::SHIM_HEAP_END)?;
        let base = entry::base();
        pages::add(base + start..base + end);
        *used = end - layout::SHIM_HEAP;
        Some(base + start)
    }
}
