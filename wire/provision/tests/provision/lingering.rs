//! Heap memory that is given back holds no key.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

use enarx_wire_provision::*;

use crate::sample::*;

/// Looks into every block that is freed, where a thread asks for it.
struct Looking;

thread_local! {
    static WANTED: Cell<Option<[u8; 32]>> = const { Cell::new(None) };
    static FOUND: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with the same arguments, and
// looking allocates nothing.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`. Zeroed, so
        // that all of the block may be read when it is freed.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(wanted) = WANTED.get() {
            // SAFETY: the block has this size, was initialized as a whole, and is
            // freed only below.
            let block = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            if block.windows(wanted.len()).any(|window| window == wanted) {
                FOUND.set(FOUND.get() + 1);
            }
        }
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

/// How many blocks were freed during `work` that hold `secret`.
fn freed_with(secret: [u8; 32], work: impl FnOnce()) -> u32 {
    // Apart from `work`: a compiler may assume that freeing touches no cell.
    #[inline(never)]
    fn look_for(secret: Option<[u8; 32]>) -> u32 {
        WANTED.set(black_box(secret));
        black_box(FOUND.replace(0))
    }
    look_for(Some(secret));
    black_box(work)();
    look_for(None)
}

#[test]
fn what_is_looked_for_is_found() {
    assert_eq!(
        freed_with([0x77; 32], || drop(black_box(vec![0x77_u8; 40]))),
        1
    );
}

#[test]
fn neither_side_leaves_what_is_granted_behind() {
    let application = *grant().application_secret.unwrap().expose();
    for secret in [*grant().content_key, application] {
        for suite in Suite::ALL {
            let offer = offer();
            let mut sealed = Vec::new();
            let sealing = freed_with(secret, || sealed = seal(&offer, suite).0);
            assert_eq!(sealing, 0, "{suite:?}");
            let keep = answering_keep();
            let opening = freed_with(secret, || drop(keep.open(&sealed).unwrap()));
            assert_eq!(opening, 0, "{suite:?}");
        }
    }
}

#[test]
fn neither_side_leaves_the_sessions_secret_behind() {
    let (sealed, session) = seal(&offer(), Suite::X25519);
    let keep = answering_keep();
    // Nothing on the stack is moved to the heap here: such a move may take along
    // what earlier calls left on the stack.
    let opening = freed_with(*session.expose(), || drop(keep.open(&sealed).unwrap()));
    assert_eq!(opening, 0);
}
