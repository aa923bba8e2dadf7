//! The shim's own heap.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
};

use dlmalloc::{Allocator, Dlmalloc};
use enarx_wire_launch::{PAGE_SIZE, sgx::layout};
use spin::Mutex;

use super::{entry, pages};

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Dlmalloc::new_with_allocator(Growth {
    used: Mutex::new(0),
})));

struct Heap(Mutex<Dlmalloc<Growth>>);

// SAFETY: dlmalloc does what is asked of an allocator, one thread at a time.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is not empty, by this function's own contract.
        unsafe { self.0.lock().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { self.0.lock().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from here, with this layout.
        unsafe { self.0.lock().free(pointer, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the new size is not zero.
        unsafe {
            self.0
                .lock()
                .realloc(pointer, layout.size(), layout.align(), size)
        }
    }
}

/// Where the heap's pages come from: one end that only moves up.
struct Growth {
    /// Bytes in use.
    used: Mutex<u64>,
}

// SAFETY: gives out pages of the enclave that nothing else uses, each once.
unsafe impl Allocator for Growth {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        const FAILED: (*mut u8, usize, u32) = (ptr::null_mut(), 0, 0);
        let Some(size) = size.checked_next_multiple_of(PAGE_SIZE) else {
            return FAILED;
        };
        let mut used = self.used.lock();
        let start = layout::SHIM_HEAP + *used;
        let Some(end) = start
            .checked_add(size as u64)
            .filter(|end| *end <= layout::SHIM_HEAP_END)
        else {
            return FAILED;
        };
        let base = entry::base();
        pages::add(base + start..base + end);
        *used = end - layout::SHIM_HEAP;
        ((base + start) as *mut u8, size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }
}
