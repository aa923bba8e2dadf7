//! Counts of what an enclave did.

use std::sync::atomic::{AtomicU64, Ordering};

/// Number of exception vectors of the architecture.
const VECTORS: usize = 32;

/// How often each leaf function succeeded, and each kind of asynchronous exit happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// EENTER.
    pub eenter: u64,
    /// ERESUME.
    pub eresume: u64,
    /// EEXIT.
    pub eexit: u64,
    /// Asynchronous exits by exception vector.
    pub aex: [u64; VECTORS],
    /// Asynchronous exits for interrupts.
    pub interrupts: u64,
    /// EACCEPT.
    pub eaccept: u64,
    /// EACCEPTCOPY.
    pub eacceptcopy: u64,
    /// EMODPE.
    pub emodpe: u64,
    /// EMODPR.
    pub emodpr: u64,
    /// EMODT.
    pub emodt: u64,
    /// EREMOVE.
    pub eremove: u64,
    /// EAUG.
    pub eaug: u64,
    /// EREPORT.
    pub ereport: u64,
    /// EGETKEY.
    pub egetkey: u64,
}

/// The counters behind [`Statistics`].
#[derive(Default)]
pub(super) struct Counters {
    pub eenter: Counter,
    pub eresume: Counter,
    pub eexit: Counter,
    pub aex: [Counter; VECTORS],
    pub interrupts: Counter,
    pub eaccept: Counter,
    pub eacceptcopy: Counter,
    pub emodpe: Counter,
    pub emodpr: Counter,
    pub emodt: Counter,
    pub eremove: Counter,
    pub eaug: Counter,
    pub ereport: Counter,
    pub egetkey: Counter,
}

impl Counters {
    pub(super) fn count_exception(&self, vector: u8) {
        if let Some(counter) = self.aex.get(usize::from(vector)) {
            counter.count();
        }
    }

    pub(super) fn read(&self) -> Statistics {
        Statistics {
            eenter: self.eenter.read(),
            eresume: self.eresume.read(),
            eexit: self.eexit.read(),
            aex: std::array::from_fn(|vector| self.aex[vector].read()),
            interrupts: self.interrupts.read(),
            eaccept: self.eaccept.read(),
            eacceptcopy: self.eacceptcopy.read(),
            emodpe: self.emodpe.read(),
            emodpr: self.emodpr.read(),
            emodt: self.emodt.read(),
            eremove: self.eremove.read(),
            eaug: self.eaug.read(),
            ereport: self.ereport.read(),
            egetkey: self.egetkey.read(),
        }
    }
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
