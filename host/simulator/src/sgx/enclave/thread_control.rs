//! Thread control structures.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::bytes::{is_zero, u32_at, u64_at};
use super::page::PAGE_SIZE;

/// A TCS (SDM volume 3D, 38.8), as EADD found it, and its state.
pub(super) struct ThreadControl {
    /// Where in the enclave its page is.
    pub offset: u64,
    pub flags: u64,
    pub ossa: u64,
    pub nssa: u32,
    pub oentry: u64,
    pub ofs_base: u64,
    pub ogs_base: u64,
    current_frame: AtomicU32,
    is_busy: AtomicBool,
}

impl ThreadControl {
    /// `None` if a reserved field is not zero, PREVSSP and OCETSSA among them.
    pub(super) fn parse(offset: u64, contents: &[u8; PAGE_SIZE]) -> Option<Self> {
        is_zero(&contents[72..]).then(|| Self {
            offset,
            flags: u64_at(contents, 8),
            ossa: u64_at(contents, 16),
            nssa: u32_at(contents, 28),
            oentry: u64_at(contents, 32),
            ofs_base: u64_at(contents, 48),
            ogs_base: u64_at(contents, 56),
            current_frame: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
        })
    }

    /// What EADD overwrites in the page: DBGOPTIN, CSSA, AEP and STATE.
    pub(super) fn reset(contents: &mut [u8; PAGE_SIZE]) {
        contents[..8].fill(0);
        contents[8] &= !1;
        contents[24..28].fill(0);
        contents[40..48].fill(0);
    }

    /// Takes it for one thread; `false` if it is taken.
    pub(super) fn acquire(&self) -> bool {
        !self.is_busy.swap(true, Ordering::Acquire)
    }

    /// Gives it back.
    pub(super) fn release(&self) {
        self.is_busy.store(false, Ordering::Release);
    }

    /// CSSA. Stable while the TCS is taken.
    pub(super) fn current_frame(&self) -> u32 {
        self.current_frame.load(Ordering::Relaxed)
    }

    /// Changes CSSA of a TCS that the caller has taken.
    pub(super) fn set_current_frame(&self, frame: u32) {
        self.current_frame.store(frame, Ordering::Relaxed);
    }
}
