//! Threads.

use alloc::{boxed::Box, vec::Vec};

use crate::{Error, registers::Registers, signal::SignalState};

/// The threads of a Keep. Their number was measured; each is entered by the host.
#[derive(Debug)]
pub struct Threads {
    all: Vec<Thread>,
    /// How many threads were ever asked for.
    spawned: u64,
}

/// A thread that was asked for, told apart from earlier and later ones of its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spawned {
    /// Its index.
    pub index: u32,
    number: u64,
}

/// One thread.
#[derive(Debug, Default)]
pub struct Thread {
    life: Life,
    /// Set to zero, and waiters there woken, when the thread ends.
    pub clear_at_end: u64,
    /// Its part in signals.
    pub signals: SignalState,
}

#[derive(Debug, Default)]
enum Life {
    #[default]
    Free,
    /// Asked for; the host has to enter it.
    Starting {
        registers: Box<Registers>,
        /// Of [`Spawned`].
        number: u64,
    },
    Running,
}

impl Threads {
    /// `count` threads, the first of which runs.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let mut threads: Vec<Thread> = (0..count).map(|_| Thread::default()).collect();
        if let Some(first) = threads.first_mut() {
            first.life = Life::Running;
        }
        Self {
            all: threads,
            spawned: 0,
        }
    }

    /// The thread at `index`, which runs.
    pub fn running(&mut self, index: u32) -> &mut Thread {
        &mut self.all[index as usize]
    }

    /// Takes a free thread that will begin with `registers`.
    ///
    /// # Errors
    ///
    /// [`Error::EAGAIN`] when all run.
    pub fn spawn(
        &mut self,
        registers: Registers,
        clear_at_end: u64,
        mask: u64,
    ) -> Result<Spawned, Error> {
        let free = self
            .all
            .iter()
            .position(|thread| matches!(thread.life, Life::Free))
            .ok_or(Error::EAGAIN)?;
        self.spawned += 1;
        let number = self.spawned;
        self.all[free] = Thread {
            life: Life::Starting {
                registers: Box::new(registers),
                number,
            },
            clear_at_end,
            signals: SignalState {
                mask,
                ..SignalState::default()
            },
        };
        Ok(Spawned {
            index: free as u32,
            number,
        })
    }

    /// Takes a thread back that was asked for. Gives whether that was possible: not if it
    /// has begun.
    #[must_use]
    pub fn withdraw(&mut self, spawned: Spawned) -> bool {
        let thread = &mut self.all[spawned.index as usize];
        let waits =
            matches!(thread.life, Life::Starting { number, .. } if number == spawned.number);
        if waits {
            *thread = Thread::default();
        }
        waits
    }

    /// What the thread at `index` begins with, if it was asked for; it runs from now on.
    pub fn begin(&mut self, index: u32) -> Option<Registers> {
        let thread = self.all.get_mut(index as usize)?;
        match core::mem::replace(&mut thread.life, Life::Running) {
            Life::Starting { registers, .. } => Some(*registers),
            other => {
                thread.life = other;
                None
            }
        }
    }

    /// Frees the thread at `index` and gives what it leaves.
    pub fn end(&mut self, index: u32) -> Thread {
        core::mem::take(&mut self.all[index as usize])
    }
}

/// The number by which Linux would know the thread at `index`.
#[must_use]
pub const fn thread_id(index: u32) -> u32 {
    index + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_that_were_asked_for_begin_and_only_once() {
        let mut threads = Threads::new(2);
        assert!(threads.begin(0).is_none());
        assert!(threads.begin(1).is_none());
        assert!(threads.begin(2).is_none());
        let spawned = threads.spawn(Registers::default(), 8, 3).unwrap();
        assert_eq!(spawned.index, 1);
        assert_eq!(
            threads.spawn(Registers::default(), 0, 0),
            Err(Error::EAGAIN)
        );
        assert!(threads.begin(1).is_some());
        assert!(threads.begin(1).is_none());
        assert_eq!(threads.running(1).signals.mask, 3);
        assert_eq!(threads.end(1).clear_at_end, 8);
        assert!(threads.spawn(Registers::default(), 0, 0).is_ok());
    }
    #[test]
    fn threads_that_have_begun_are_not_taken_back() {
        let mut threads = Threads::new(2);
        let spawn = |threads: &mut Threads| threads.spawn(Registers::default(), 0, 0).unwrap();
        let first = spawn(&mut threads);
        assert!(threads.withdraw(first));
        assert!(threads.begin(1).is_none());

        let second = spawn(&mut threads);
        assert!(!threads.withdraw(first));
        assert!(threads.begin(1).is_some());
        assert!(!threads.withdraw(second));
        threads.end(1);
        assert!(!threads.withdraw(second));
    }
}
