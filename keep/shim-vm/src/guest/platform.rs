//! The machine as the shim's common part sees it.

use alloc::vec::Vec;

use enarx_keep_shim::{Answer, HostCall, Platform, Stop, processor};
use enarx_wire_hostcall::{
    attestation::{DIGEST_SIZE, REPORT_DATA_SIZE},
    call::Operation,
};

use super::{heap, host, processor_page, stop, tee::tee};

/// This machine.
pub struct Machine;

impl Platform for Machine {
    const HEAP_HAS_ROOM: fn() -> bool = heap::has_room;

    fn call(
        &self,
        operation: Operation,
        arguments: [u64; 4],
        payload: &[&[u8]],
        most: u64,
        into: &mut [u8],
    ) -> Answer {
        host::call(HostCall {
            operation,
            arguments,
            payload,
            most,
            into,
        })
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        tee().evidence(report_data)
    }

    fn record(&self, digest: &[u8; DIGEST_SIZE]) -> bool {
        tee().record(digest)
    }

    fn random(&self, bytes: &mut [u8]) {
        if processor::random(bytes).is_err() {
            stop(Stop::Random);
        }
    }

    fn counter(&self) -> u64 {
        processor::counter()
    }

    fn thread(&self) -> u32 {
        processor_page::index()
    }

    fn stop(&self, reason: Stop) -> ! {
        stop(reason)
    }
}
