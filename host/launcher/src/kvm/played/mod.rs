//! TEEs that the host plays, for want of the hardware.
//!
//! What the guest does to a TEE comes here: reads and writes of registers that stand for
//! instructions ([`layout::played`](enarx_wire_launch::vm::layout::played)). Which memory is private is played as
//! hardware does it: private and shared memory have addresses of their own, by the bit in page tables; and
//! a private page that the guest has not accepted is not there for it ([`PageStates`]).
//!
//! Nothing of this protects a Keep from its host, who has all of it.

mod pages;
mod snp;
mod tdx;

use std::io;
use std::sync::Arc;

use enarx_wire_launch::vm::GuestPageKind;
use enarx_wire_launch::{PAGE_SIZE, Platform};
use kvm_bindings::CpuId;

use super::memory::Memory;
use super::services::DeviceEvidence;

pub(super) use pages::PageStates;
use pages::Refusal;
use snp::PlayableSnp;
use tdx::PlayableTdx;

/// A TEE of one machine.
pub(super) trait Played: Send + Sync {
    /// Processor `processor` has written `value` to the register at `register`, an offset from the
    /// doorbell. Gives what it shows to the host, if it leaves the machine for it.
    ///
    /// # Errors
    ///
    /// Why hardware would not let the machine go on.
    fn write(&self, processor: u32, register: u64, value: u64) -> Result<Option<u32>, String>;

    /// The processor reads a register.
    ///
    /// # Errors
    ///
    /// Why hardware would not let the machine go on.
    fn read(&self, processor: u32, register: u64) -> Result<u64, String>;
}

/// A TEE that is to be played, before there is a machine.
pub(super) trait Playable {
    /// Which memory is private.
    fn marks(&self) -> Marks;

    /// What the TEE's firmware puts into pages of this kind, for processors that offer `cpuid`; none
    /// if it puts nothing there.
    fn contents(&self, kind: GuestPageKind, cpuid: &CpuId) -> Option<[u8; PAGE_SIZE]>;

    /// Whether processors start in the page that TDX has for that.
    fn resets(&self) -> bool {
        false
    }

    /// Plays it for a machine with these pages and this shared memory, which has to be there for as long.
    fn play(self: Box<Self>, pages: Arc<PageStates>, shared: &Memory) -> Arc<dyn Played>;
}

/// The TEE of `platform`, if the host can play it; `evidence` is where its reports come from.
///
/// # Errors
///
/// When the system gives no random bytes.
pub(super) fn playable(
    platform: Platform,
    evidence: DeviceEvidence,
) -> io::Result<Option<Box<dyn Playable>>> {
    Ok(match platform {
        Platform::Snp => Some(Box::new(PlayableSnp::new(evidence)?)),
        Platform::Tdx => Some(Box::new(PlayableTdx::new(evidence)?)),
        _ => None,
    })
}

/// Bits of addresses in a guest's page tables that say whether memory is private.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// In those of private memory.
    pub private: u64,
    /// In those of shared memory.
    pub shared: u64,
}
