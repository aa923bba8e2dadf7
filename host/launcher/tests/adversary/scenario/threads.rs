//! Threads that run when they should not.

use enarx_host_simulator::sgx::enclave::Interference;
use enarx_wire_hostcall::call::{Leave, Operation};

use super::super::host::{Answer, Call, EENTER, ERESUME, Ending, Entry, Host, Left, Lies};

pub struct StartsUnasked {
    pub at: usize,
}

impl StartsUnasked {
    fn start(&self, host: &mut Host) {
        host.faults += 1;
        host.run_beside(1);
    }
}

impl Lies for StartsUnasked {
    fn entry(&mut self, host: &mut Host, entry: &mut Entry) {
        // Before the first entry of all.
        if self.at == 0 && entry.thread == 0 && host.faults == 0 {
            self.start(host);
        }
    }

    fn answer(&mut self, host: &mut Host, call: &Call, _: &mut Answer) {
        if call.number + 1 == self.at && call.thread == 0 && host.depth(1) == 0 {
            self.start(host);
        }
    }
}

/// Enters the second thread in the middle of the first one.
pub struct StartsUnaskedAt {
    pub interrupts: u64,
}

impl Lies for StartsUnaskedAt {
    fn interrupted(&mut self, host: &mut Host, _: usize, _: u64) -> u32 {
        host.faults += 1;
        if host.faults == self.interrupts {
            host.attachment.interfere(&Interference::default());
            let mut entry = host.entry(1, EENTER);
            let left = host.enter(&mut entry);
            assert!(matches!(left, Left::Exit(Leave::Abort, _)), "{left:?}");
        }
        ERESUME
    }
}

/// Lets threads take turns at any instruction of the shim, by chance that is the same each
/// time.
pub struct TakesTurns {
    pub random: u64,
}

impl TakesTurns {
    /// Of so many cases one.
    fn one_of(&mut self, cases: u64) -> bool {
        // The generator of the MMIX computer (Knuth, The Art of Computer Programming 2, 3.3.4).
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).is_multiple_of(cases)
    }
}

impl Lies for TakesTurns {
    fn answer(&mut self, host: &mut Host, call: &Call, _: &mut Answer) {
        if call.request.operation == Operation::StartThread {
            host.wakes_early = self.one_of(2);
            host.interrupt_everywhere(0);
        }
    }

    fn interrupted(&mut self, host: &mut Host, thread: usize, _: u64) -> u32 {
        host.faults += 1;
        if self.one_of(5) {
            host.prefer(1 - thread);
        }
        if host.depth(thread) == 1 && self.one_of(20) {
            EENTER
        } else {
            ERESUME
        }
    }
}

/// Enters the second thread, and leaves it where so many interrupts have come.
pub fn stand_still(host: &mut Host, interrupts: usize) {
    host.interrupt_everywhere(0);
    let mut entry = host.entry(1, EENTER);
    for _ in 0..=interrupts {
        host.faults += 1;
        match host.enter(&mut entry) {
            Left::Interrupt(_) => entry = host.entry(1, ERESUME),
            Left::Exit(Leave::Abort, _) => break,
            other => panic!("{other:?}"),
        }
    }
    host.attachment.interfere(&Interference::default());
}

pub struct DeniesThread {
    pub variant: usize,
}

impl Lies for DeniesThread {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        match (call.request.operation, self.variant) {
            (Operation::StartThread, variant) => {
                host.faults += 1;
                answer.result = -i64::from(libc::EAGAIN);
                match variant {
                    // It runs, up to its first call.
                    0 => assert_eq!(host.run_beside(1), None),
                    // It has begun, and stands still.
                    1 => stand_still_begun(host),
                    _ => {}
                }
            }
            // It is to run when the program was told that it does not, and has ended.
            (Operation::Exit, 2) => {
                host.faults += 1;
                assert_eq!(host.run_beside(1), Some(Ending::Refused));
                answer.sequence = 0;
            }
            _ => {}
        }
    }
}

/// Enters the second thread, up to its first instruction outside the shim.
fn stand_still_begun(host: &mut Host) {
    let shim = host.shim();
    let mut interference = Interference::default();
    interference.interrupted = shim.end..host.enclave.base() + host.enclave.size();
    host.attachment.interfere(&interference);
    let mut entry = host.entry(1, EENTER);
    let left = host.enter(&mut entry);
    assert!(matches!(left, Left::Interrupt(_)), "{left:?}");
    host.attachment.interfere(&Interference::default());
}

pub struct RestartsThread {
    pub leaf: u32,
}

impl Lies for RestartsThread {
    fn thread_ended(&mut self, host: &mut Host, thread: usize) {
        host.faults += 1;
        let mut entry = host.entry(thread, self.leaf);
        let left = host.enter(&mut entry);
        let is_refused = matches!(left, Left::Refused | Left::Exit(Leave::Abort, _));
        assert!(is_refused, "{left:?}");
    }
}
