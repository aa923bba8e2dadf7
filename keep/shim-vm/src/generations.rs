//! What processors may remember of page tables.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Changes of the page tables that took something away, and of these the latest that each of `N` processors
/// has heard of: it remembers nothing from before that.
#[derive(Debug)]
pub struct Generations<const N: usize> {
    latest: AtomicU64,
    known: [AtomicU64; N],
    /// Which processors are not with the host, or may not be.
    present: [AtomicBool; N],
}

impl<const N: usize> Generations<N> {
    /// Before all changes, and with all processors with the host.
    #[must_use]
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            known: [const { AtomicU64::new(0) }; N],
            present: [const { AtomicBool::new(false) }; N],
        }
    }

    /// The latest change.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::SeqCst)
    }

    /// Takes note of a change that was made, and gives the one before.
    pub fn advance(&self) -> u64 {
        self.latest.fetch_add(1, Ordering::SeqCst)
    }

    /// What `processor` has heard of.
    pub fn known(&self, processor: usize) -> u64 {
        self.known[processor].load(Ordering::Acquire)
    }

    /// Takes note that `processor` has forgotten what was before `generation`.
    pub fn learn(&self, processor: usize, generation: u64) {
        self.known[processor].store(generation, Ordering::Release);
    }

    /// Takes note that `processor` goes to the host.
    pub fn leave(&self, processor: usize) {
        self.present[processor].store(false, Ordering::SeqCst);
    }

    /// Takes note that `processor` is back from the host, before it learns what it has missed.
    pub fn come_back(&self, processor: usize) {
        // In the order of all: whoever does not see this has made its changes before what follows here.
        if !self.present[processor].load(Ordering::Relaxed) {
            self.present[processor].store(true, Ordering::SeqCst);
        }
    }

    /// Whether no processor remembers anything from before the latest change, nor can use what it remembers:
    /// one that is with the host learns of the change before it does anything else.
    pub fn is_forgotten(&self) -> bool {
        let latest = self.latest();
        (0..N).all(|processor| {
            !self.present[processor].load(Ordering::SeqCst) || self.known(processor) == latest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_processor_may_remember_is_not_forgotten() {
        let generations = Generations::<3>::new();
        generations.come_back(0);
        generations.come_back(1);
        assert!(generations.is_forgotten(), "nothing was taken away");
        assert_eq!(generations.advance(), 0);
        generations.learn(0, 1);
        assert!(!generations.is_forgotten(), "the other one may remember");
        generations.leave(1);
        assert!(generations.is_forgotten());
        // It is back, and has not heard of the change yet.
        generations.come_back(1);
        assert!(!generations.is_forgotten());
        generations.learn(1, generations.latest());
        assert!(generations.is_forgotten());
        // What it knows from before is not enough for what comes later.
        assert_eq!(generations.advance(), 1);
        generations.learn(0, 2);
        assert!(!generations.is_forgotten());
        assert_eq!(generations.known(1), 1);
    }
}
