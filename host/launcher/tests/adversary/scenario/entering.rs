//! Interrupts, and entries where others are due.

use std::collections::HashSet;

use enarx_host_simulator::sgx::enclave::Interference;

use super::super::host::{Answer, Call, EENTER, ERESUME, Entry, Host, Lies};

/// Enters the handler after interrupts.
#[derive(Default)]
pub struct Interrupts {
    pub enters: bool,
    /// Where that was done already, by the save areas in use.
    pub met: HashSet<(u64, u32)>,
    pub entering: bool,
}

impl Lies for Interrupts {
    fn entry(&mut self, host: &mut Host, entry: &mut Entry) {
        // What the handler is interrupted in is the same each time; once is enough.
        self.entering = entry.leaf == EENTER && host.depth(entry.thread) > 0;
    }

    fn interrupted(&mut self, host: &mut Host, thread: usize, at: u64) -> u32 {
        host.faults += 1;
        if self.enters && self.met.insert((at, host.depth(thread))) {
            EENTER
        } else {
            ERESUME
        }
    }

    /// There is no handler of a handler.
    fn refused(&mut self, _: &mut Host) -> u32 {
        if self.entering { ERESUME } else { 0 }
    }
}

pub struct EntersInsteadOfResuming {
    pub times: u32,
    pub done: u32,
}

impl Lies for EntersInsteadOfResuming {
    fn resumed(&mut self, host: &mut Host) -> u32 {
        if self.done < self.times {
            self.done += 1;
            host.faults += 1;
            EENTER
        } else {
            self.done = 0;
            ERESUME
        }
    }
}

pub struct ResumesCall {
    pub at: usize,
    pub meanwhile: Meanwhile,
}

/// What happens where a call was resumed, before its first instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    Interrupt,
    /// The host has taken the page away, and gives it back.
    PageFault,
}

impl Lies for ResumesCall {
    fn answer(&mut self, host: &mut Host, call: &Call, _: &mut Answer) {
        if call.number != self.at {
            return;
        }
        host.faults += 1;
        host.resume_next(call.thread);
        match self.meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Interrupt => host.interrupt_everywhere(0),
            Meanwhile::PageFault => host.let_entry_page_be_accessed(false),
        }
    }

    fn excepted(&mut self, host: &mut Host) {
        if self.meanwhile == Meanwhile::PageFault {
            host.let_entry_page_be_accessed(true);
        }
    }

    fn interrupted(&mut self, host: &mut Host, _: usize, _: u64) -> u32 {
        host.attachment.interfere(&Interference::default());
        host.faults += 1;
        EENTER
    }
}
