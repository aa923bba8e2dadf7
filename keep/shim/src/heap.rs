//! The shim's own heap.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
};

use dlmalloc::{Allocator, Dlmalloc};
use enarx_wire_launch::PAGE_SIZE;
use spin::Mutex;

/// Where a heap's memory comes from.
///
/// # Safety
///
/// What is given out is memory that nothing else uses, each piece once; all zeros if `ZEROED`
/// says so.
pub unsafe trait Growth: Sync {
    /// Whether new memory is all zeros.
    const ZEROED: bool;

    /// Gives `bytes` more, a multiple of the page size, and their address; `None` if there are
    /// no more.
    fn grow(&self, bytes: u64) -> Option<u64>;
}

/// A heap, to be a program's global allocator.
pub struct Heap<G>(Mutex<Dlmalloc<Source<G>>>);

impl<G: Growth> Heap<G> {
    /// An empty heap.
    pub const fn new(growth: G) -> Self {
        Self(Mutex::new(Dlmalloc::new_with_allocator(Source(growth))))
    }
}

impl<G: Growth + Send> Heap<G> {
    /// Whether it has `bytes` in one piece to give.
    pub fn can_give(&self, bytes: usize) -> bool {
        // Nobody else finds it gone meanwhile.
        let mut heap = self.0.lock();
        // SAFETY: not empty but for a caller that asks for nothing, and freed as it was allocated.
        unsafe {
            let piece = heap.malloc(bytes, 1);
            if !piece.is_null() {
                heap.free(piece, bytes, 1);
            }
            !piece.is_null()
        }
    }
}

// SAFETY: dlmalloc does what is asked of an allocator, one thread at a time.
unsafe impl<G: Growth + Send> GlobalAlloc for Heap<G> {
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

/// Memory that is never given back.
struct Source<G>(G);

// SAFETY: by the contract of `Growth`.
unsafe impl<G: Growth + Send> Allocator for Source<G> {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let grown = size
            .checked_next_multiple_of(PAGE_SIZE)
            .and_then(|size| Some((self.0.grow(size as u64)?, size)));
        match grown {
            Some((address, size)) => (address as *mut u8, size, 0),
            None => (ptr::null_mut(), 0, 0),
        }
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
        G::ZEROED
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }
}
