//! The enclave as the shim's common part sees it.

use alloc::{vec, vec::Vec};

use enarx_keep_shim::{Answer, HostCall, Platform, Stop, processor};
use enarx_wire_hostcall::{
    attestation::{MAX_ANSWER, REPORT_DATA_SIZE},
    call::Operation,
};

use super::{
    host,
    leaf::{self, TargetInfo},
    stop, thread_page,
};

/// This enclave.
pub struct Enclave;

impl Platform for Enclave {
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
        // For whom the report is, the host says. One for an enclave that is no quoting
        // enclave is of no use to anybody: the owner believes quotes alone.
        let mut target = TargetInfo([0; 512]);
        let answer = self.call(Operation::QuoteTarget, [0; 4], &[], 0, &mut target.0);
        if answer.result != 0 || answer.length != target.0.len() {
            return None;
        }
        let report = leaf::report(&target, report_data);
        let mut quote = vec![0; MAX_ANSWER];
        let answer = self.call(Operation::Quote, [0; 4], &[&report.0], 0, &mut quote);
        if answer.result != 0 || answer.length == 0 {
            return None;
        }
        quote.truncate(answer.length);
        Some(quote)
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
        thread_page::index()
    }

    fn stop(&self, reason: Stop) -> ! {
        stop(reason)
    }
}
