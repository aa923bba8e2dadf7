//! Hashing the runtime, before any of it runs.

use core::sync::atomic::{AtomicBool, Ordering};

use enarx_wire_hostcall::call::Operation;
use enarx_wire_launch::PieceDigests;
use spin::RwLock;

use crate::platform::{Platform, Stop};

/// What hashes a runtime in the first thread, and with the help of another one if the host runs it.
///
/// The first thread hashes what nobody has begun with, and waits for nothing but a piece that the helper is
/// at. So a host can slow it down as it always can, and change nothing of what comes out.
pub struct Hashing {
    pieces: RwLock<Option<PieceDigests<'static>>>,
    /// Whether the helper was asked for and has not come.
    helper_is_wanted: AtomicBool,
}

impl Hashing {
    /// The thread that helps. The runtime may ask for it too, at any time.
    const HELPER: u32 = 1;

    /// Nothing is hashed yet.
    #[must_use]
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            pieces: RwLock::new(None),
            helper_is_wanted: AtomicBool::new(false),
        }
    }

    /// The digest of `parts` ([`PieceDigests`]). They are not looked at any more when it is there.
    pub fn digest(
        &self,
        platform: &impl Platform,
        parts: impl IntoIterator<Item = &'static [u8]>,
    ) -> [u8; 32] {
        *self.pieces.write() = Some(PieceDigests::new(parts));
        self.helper_is_wanted.store(true, Ordering::SeqCst);
        if platform.ask(Operation::StartThread, [Self::HELPER.into(), 0, 0, 0]) != 0 {
            // If it comes all the same, nobody has asked for it.
            self.helper_is_wanted.store(false, Ordering::SeqCst);
        }
        self.work();
        let pieces = self.pieces.write().take();
        pieces.map(PieceDigests::finish).unwrap_or_default()
    }

    /// Lets a thread help that the runtime has not asked for. One that was not asked for to help either, or
    /// was before, stops the Keep.
    pub fn help(&self, platform: &impl Platform) {
        let wanted = || self.helper_is_wanted.swap(false, Ordering::SeqCst);
        if platform.thread() != Self::HELPER || !wanted() {
            platform.stop(Stop::Thread);
        }
        self.work();
    }

    fn work(&self) {
        self.pieces.read().iter().for_each(PieceDigests::work);
    }
}
