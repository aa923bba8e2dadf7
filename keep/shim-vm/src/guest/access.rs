//! Access of the shim to the runtime's memory.

use core::{arch::asm, marker::PhantomData};

use super::entry::guards_access;

/// While this lives, the shim can reach the runtime's memory on this processor (SMAP).
#[must_use = "the runtime's memory is closed again when this is dropped"]
pub struct Open(PhantomData<*const ()>);

/// Opens the runtime's memory. Not to be nested.
pub fn open() -> Open {
    if guards_access() {
        // SAFETY: the processor has SMAP, and so this instruction, which changes one flag that
        // compiled code does not use.
        unsafe { asm!("stac", options(nostack)) };
    }
    Open(PhantomData)
}

impl Drop for Open {
    fn drop(&mut self) {
        if guards_access() {
            // SAFETY: as in `open`.
            unsafe { asm!("clac", options(nostack)) };
        }
    }
}
