//! A machine without a TEE, which its host can read.

use alloc::{vec, vec::Vec};
use core::{arch::asm, ops::Range, ptr};

use enarx_keep_shim::Platform as _;
use enarx_wire_hostcall::{
    attestation::{MAX_ANSWER, REPORT_DATA_SIZE},
    call::Operation,
};
use enarx_wire_launch::vm::layout;

use super::{
    super::{host, platform::Machine},
    Tee,
};

/// That machine.
pub struct Unprotected;

impl Tee for Unprotected {
    /// By a write to where there is no memory; a host that puts some there learns what it would have
    /// been told anyway. Or by a port, a byte after the other.
    fn ring(&self, value: u32) {
        if host::waits() {
            for byte in &value.to_le_bytes()[..2] {
                // SAFETY: a port without a device that touches memory, in ring 0.
                unsafe {
                    asm!("out dx, al", in("dx") layout::DOORBELL_PORT, in("al") *byte, options(nostack));
                }
            }
            return;
        }
        // SAFETY: mapped where it lies, and nothing of the shim's.
        unsafe { ptr::write_volatile(layout::DOORBELL as *mut u32, value) };
    }

    /// A host that does not want it leaves it as it is.
    fn give_back(&self, range: Range<u64>) {
        let bytes = range.end - range.start;
        Machine.ask(Operation::GiveBack, [range.start, bytes, 0, 0]);
    }

    /// Nobody but the host can speak for this machine.
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        let mut evidence = vec![0; MAX_ANSWER];
        let answer = Machine.call(
            Operation::Evidence,
            [0; 4],
            &[report_data],
            0,
            &mut evidence,
        );
        if answer.result != 0 || answer.length == 0 {
            return None;
        }
        evidence.truncate(answer.length);
        Some(evidence)
    }
}
