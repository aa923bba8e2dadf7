//! The enclave as the shim's common part sees it.

use alloc::{vec, vec::Vec};

use enarx_keep_shim::{Answer, HostCall, Platform, Stop, processor};
use enarx_wire_hostcall::{
    attestation::{MAX_ANSWER, REPORT_DATA_SIZE, SEALING_ANSWER_SIZE, SEALING_REQUEST_SIZE},
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

    /// Bound to MRENCLAVE, the configuration (CONFIGID), and all attributes (Intel SDM volume 3D,
    /// "Layout of KEYREQUEST Data Structure").
    fn sealing_key(
        &self,
        request: &[u8; SEALING_REQUEST_SIZE],
    ) -> Option<[u8; SEALING_ANSWER_SIZE]> {
        const SEAL: u8 = 4;
        const MRENCLAVE_AND_CONFIG_ID: u8 = 1 | 1 << 3;
        let (name, version) = request.split_at(32);
        let mut own = [0; 16];
        own.copy_from_slice(&leaf::report(&TargetInfo([0; 512]), &[0; 64]).0[..16]);
        let version = match version {
            [0, rest @ ..] if rest.iter().all(|byte| *byte == 0) => &own,
            wanted => wanted,
        };
        let mut key_request = leaf::KeyRequest([0; 512]);
        key_request.0[0] = SEAL;
        key_request.0[2] = MRENCLAVE_AND_CONFIG_ID;
        key_request.0[8..24].copy_from_slice(version);
        // The masks of attributes and of MISCSELECT.
        key_request.0[24..40].fill(0xFF);
        key_request.0[40..72].copy_from_slice(name);
        key_request.0[72..76].fill(0xFF);
        let key = leaf::key(&key_request)?;
        let mut answer = [0; SEALING_ANSWER_SIZE];
        answer[..16].copy_from_slice(&key);
        answer[16..].copy_from_slice(version);
        Some(answer)
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
