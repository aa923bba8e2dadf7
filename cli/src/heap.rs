//! The C library's heap.

use std::ffi::c_int;

/// Has all threads share one heap. A heap for each takes a thread longer to make than the few
/// allocations that it then does, if it lives for a moment only.
///
/// To be called before there is another thread.
pub fn share() {
    const HEAPS: c_int = 1;
    // SAFETY: the call changes a setting of the C library and nothing else.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}
