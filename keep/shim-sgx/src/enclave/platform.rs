//! The enclave as the shim's common part sees it.

use alloc::{vec, vec::Vec};
use core::arch::asm;

use enarx_keep_shim::{Answer, Platform, Stop};
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
        host::call(operation, arguments, payload, most, into)
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        // For whom the report is, the host says. One for an enclave that is no quoting
        // enclave is of no use to anybody: the owner believes quotes alone.
        let mut target = TargetInfo([0; 512]);
        let answer = host::call(Operation::QuoteTarget, [0; 4], &[], 0, &mut target.0);
        if answer.result != 0 || answer.length != target.0.len() {
            return None;
        }
        let report = leaf::report(&target, report_data);
        let mut quote = vec![0; MAX_ANSWER];
        let answer = host::call(Operation::Quote, [0; 4], &[&report.0], 0, &mut quote);
        if answer.result != 0 || answer.length == 0 {
            return None;
        }
        quote.truncate(answer.length);
        Some(quote)
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random_word().to_le_bytes()[..chunk.len()]);
        }
    }

    fn counter(&self) -> u64 {
        // SAFETY: reads a counter.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    fn thread(&self) -> u32 {
        thread_page::index()
    }

    fn stop(&self, reason: Stop) -> ! {
        stop(reason)
    }
}

/// A number from the processor's generator (RDRAND), which is asked again as often as Intel's
/// "Digital Random Number Generator Software Implementation Guide" advises.
fn random_word() -> u64 {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        let (word, given): (u64, u8);
        // SAFETY: reads random bits.
        unsafe {
            asm!(
                "rdrand {word}",
                "setc {given}",
                word = out(reg) word,
                given = out(reg_byte) given,
                options(nomem, nostack),
            );
        }
        if given == 1 {
            return word;
        }
    }
    stop(Stop::Random)
}
