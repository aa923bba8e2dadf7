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
        // The first time it may have been asked for, to help with hashing the runtime.
        if host.run_beside(1).is_none() {
            host.run_beside(1);
        }
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
            let left = enter_unasked(host, EENTER);
            assert!(matches!(left, Left::Exit(Leave::Abort, _)), "{left:?}");
        }
        ERESUME
    }
}

/// Enters the second thread, which the runtime has not asked for: until it is refused, if it was asked for to
/// help with hashing the runtime, once.
fn enter_unasked(host: &mut Host, leaf: u32) -> Left {
    let mut entry = host.entry(1, leaf);
    match host.enter(&mut entry) {
        Left::Exit(Leave::ThreadEnded, _) => {
            let mut entry = host.entry(1, leaf);
            host.enter(&mut entry)
        }
        left => left,
    }
}

/// Lets threads take turns at any instruction of the shim, by chance that is the same each
/// time.
pub struct TakesTurns {
    pub random: u64,
    /// Threads that are asked for before they do.
    pub after: usize,
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
        if call.request.operation != Operation::StartThread {
            return;
        }
        match self.after.checked_sub(1) {
            Some(left) => self.after = left,
            None => {
                host.wakes_early = self.one_of(2);
                host.interrupt_everywhere(0);
            }
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
    /// Whether the thread was asked for that helps with hashing the runtime.
    pub helped: bool,
}

impl Lies for DeniesThread {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        match (call.request.operation, self.variant) {
            (Operation::StartThread, _) if !self.helped => self.helped = true,
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

/// Says that the thread does not run that is to help with hashing the runtime, and runs it all the same.
pub struct DeniesHelp {
    /// Whether it comes when the first thread has been told.
    pub late: bool,
    pub denied: Option<usize>,
}

impl Lies for DeniesHelp {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        match self.denied {
            None if call.request.operation == Operation::StartThread => {
                host.faults += 1;
                answer.result = -i64::from(libc::EAGAIN);
                self.denied = Some(call.number);
                if !self.late {
                    assert_eq!(host.run_beside(1), None);
                }
            }
            Some(denied) if self.late && call.number == denied + 1 => {
                let mut entry = host.entry(1, EENTER);
                let left = host.enter(&mut entry);
                assert!(matches!(left, Left::Exit(Leave::Abort, _)), "{left:?}");
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
    fn thread_ended(&mut self, host: &mut Host, _: usize) {
        host.faults += 1;
        let left = enter_unasked(host, self.leaf);
        let is_refused = matches!(left, Left::Refused | Left::Exit(Leave::Abort, _));
        assert!(is_refused, "{left:?}");
    }
}
