//! What differs from one kind of machine to another.
//!
//! The measured launch page names the kind; nothing that the host says does. All else of the shim
//! is the same everywhere: it asks [`tee`] to make memory its own, to leave the machine, and for evidence.
//! What of its memory the shim reaches as shared never changes: the entry code marks the first page
//! tables accordingly, and [`private`](super::tables::private) every entry that is made later. What the host gets
//! back, nothing here touches until it is private again.
//!
//! Where the host plays the TEE, for want of the hardware, that is measured too. All of the code is
//! the same then but for the instructions themselves, which `layout::played` has
//! registers for.

mod snp;
mod tdx;
mod unprotected;

use alloc::vec::Vec;
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use enarx_keep_shim::{Exception, Registers, Stop};
use enarx_wire_hostcall::attestation::{DIGEST_SIZE, REPORT_DATA_SIZE};
use enarx_wire_launch::{
    PAGE_SIZE, Platform,
    vm::layout::{self, window},
};
use spin::Once;

use super::stop;
use snp::Snp;
use tdx::Tdx;
use unprotected::Unprotected;

/// A kind of machine.
pub trait Tee: Sync {
    /// Begins on every processor: it can [`ring`](Tee::ring) from then on.
    fn begin_processor(&self) {}

    /// Begins on the first processor, after that. There is no more of the stack than the pages that are
    /// loaded at the launch ([`layout::FIRST_STACK`](enarx_wire_launch::vm::layout::FIRST_STACK)), and
    /// no heap.
    fn begin(&self) {}

    /// Makes memory private that the host has not loaded, with anything in it. Each page is
    /// accepted once before it is used, first or after it was given back: a host that takes it away and gives it
    /// again must not have it accepted again.
    fn accept(&self, range: Range<u64>) {
        let _ = range;
    }

    /// Whether all of that has zeros in it when it is accepted, as far as the machine can be trusted with anything.
    fn gives_zeros(&self) -> bool {
        true
    }

    /// Returns accepted memory to the host, in blocks of 2 MiB that no processor remembers as the runtime's. It is
    /// to be accepted before it is used again, and what is in it then is the host's to choose.
    fn give_back(&self, range: Range<u64>);

    /// Leaves the machine, and shows `value` to the host.
    fn ring(&self, value: u32);

    /// Evidence over `report_data`, if the host helps to make it.
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>>;

    /// Has evidence tell of `digest` from now on, where there is a register for that. Whether that
    /// went well.
    fn record(&self, digest: &[u8; DIGEST_SIZE]) -> bool {
        let _ = digest;
        true
    }

    /// Serves an exception of the runtime's that is the TEE's own; `false` if it is none.
    fn exception(&self, exception: &Exception, registers: &mut Registers) -> bool {
        let _ = (exception, registers);
        false
    }
}

/// The machine's kind. Until it is known, one that the host can read.
pub fn tee() -> &'static dyn Tee {
    TEE.get().copied().unwrap_or(&Unprotected)
}

/// Takes note of the measured `platform`, and whether the host plays it: on the first processor, before
/// all else.
pub fn choose(platform: Platform, played: bool) {
    let tee: &dyn Tee = match platform {
        Platform::Kvm => &Unprotected,
        Platform::Snp => &Snp,
        Platform::Tdx => &Tdx,
        _ => stop(Stop::Launch),
    };
    PLAYED.store(played, Ordering::Relaxed);
    TEE.call_once(|| tee);
}

/// Accepts of the processors' windows what is not loaded at the launch.
fn accept_windows(tee: &impl Tee) {
    for index in 0..layout::PROCESSORS {
        let base = layout::window_of(index);
        let end = base + window::PROCESSOR_PAGE + PAGE_SIZE as u64;
        let loaded = layout::FIRST_STACK.start;
        tee.accept(base + window::STACK..if index == 0 { loaded } else { end });
    }
}

static TEE: Once<&dyn Tee> = Once::new();

static PLAYED: AtomicBool = AtomicBool::new(false);

fn is_played() -> bool {
    PLAYED.load(Ordering::Relaxed)
}
