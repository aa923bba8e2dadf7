//! What a TEE gives to the shim's common part.

use alloc::vec::Vec;

pub use enarx_wire_hostcall::call::Answer;
use enarx_wire_hostcall::{
    attestation::{DIGEST_SIZE, REPORT_DATA_SIZE, SEALING_ANSWER_SIZE, SEALING_REQUEST_SIZE},
    call::Operation,
};

use crate::memory::Pages;

/// A TEE, and the host outside it.
pub trait Platform: Pages + Sync {
    /// Whether the shim's heap has more than what calls need that must not fail: files take nothing
    /// otherwise.
    const HEAP_HAS_ROOM: fn() -> bool = || true;

    /// Asks the host. Its answer's result is at most `most`, and its payload fits `into`; a
    /// host that answers anything else stops the Keep.
    fn call(
        &self,
        operation: Operation,
        arguments: [u64; 4],
        payload: &[&[u8]],
        most: u64,
        into: &mut [u8],
    ) -> Answer;

    /// Asks the host for something that has no payload and no answer but its result.
    fn ask(&self, operation: Operation, arguments: [u64; 4]) -> i64 {
        self.call(operation, arguments, &[], 0, &mut []).result
    }

    /// Evidence over `report_data`, if the host helps to make it.
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>>;

    /// A key that only this TEE gives to this Keep, if it has such keys (see the device's
    /// `SealingKey`).
    fn sealing_key(
        &self,
        _request: &[u8; SEALING_REQUEST_SIZE],
    ) -> Option<[u8; SEALING_ANSWER_SIZE]> {
        None
    }

    /// Has evidence tell of `digest` from now on, where there is a register for that. Whether that
    /// went well.
    fn record(&self, digest: &[u8; DIGEST_SIZE]) -> bool {
        let _ = digest;
        true
    }

    /// Fills `bytes` from the processor's generator.
    fn random(&self, bytes: &mut [u8]);

    /// The time-stamp counter.
    fn counter(&self) -> u64;

    /// The index of the thread that asks.
    fn thread(&self) -> u32;

    /// Stops the Keep: the host did what it must not, or the runtime cannot go on.
    fn stop(&self, reason: Stop) -> !;
}

/// Why a Keep stops itself. The host learns the number and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stop {
    /// An answer to another request, or to none.
    AnswerSequence = 1,
    /// A result that cannot be.
    AnswerResult = 2,
    /// More payload than was asked for.
    AnswerLength = 3,
    /// A request that was too long: an error of the shim's own.
    RequestLength = 4,
    /// The host gave a clock that cannot be.
    Clock = 5,
    /// A thread was started that nobody had asked for.
    Thread = 6,
    /// The runtime's pages are not those that were measured.
    Runtime = 7,
    /// What the shim was launched with is not of its version.
    Launch = 8,
    /// A page could not be added or changed.
    Page = 9,
    /// The shim has no more memory.
    Memory = 10,
    /// The processor gave no random number.
    Random = 11,
    /// The shim was entered where it must not be.
    Entry = 12,
    /// The shim itself faulted.
    Exception = 13,
    /// An error of the shim's own.
    Panic = 14,
    /// The TEE is not what the shim can run in, or its host broke the rules of its protocol.
    Tee = 15,
}
