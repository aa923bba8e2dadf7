//! Threads that wait for a change of memory.

use alloc::vec::Vec;

/// The threads that wait in `futex` calls.
#[derive(Debug, Default)]
pub struct Waiters(Vec<Waiter>);

#[derive(Debug, Clone, Copy)]
struct Waiter {
    thread: u32,
    address: u64,
    woken: bool,
}

impl Waiters {
    /// Lets `thread` wait at `address` for a wake-up.
    pub fn enqueue(&mut self, thread: u32, address: u64) {
        self.0.push(Waiter {
            thread,
            address,
            woken: false,
        });
    }

    /// Whether `thread` was woken; it waits no longer then.
    pub fn take_woken(&mut self, thread: u32) -> bool {
        let place = self.0.iter().position(|waiter| waiter.thread == thread);
        match place {
            Some(place) if self.0[place].woken => {
                self.0.remove(place);
                true
            }
            _ => false,
        }
    }

    /// `thread` waits no longer, woken or not.
    pub fn give_up(&mut self, thread: u32) {
        self.0.retain(|waiter| waiter.thread != thread);
    }

    /// Wakes at most `count` threads, those first that wait longest, and gives them.
    pub fn wake(&mut self, address: u64, count: usize) -> Vec<u32> {
        self.0
            .iter_mut()
            .filter(|waiter| !waiter.woken && waiter.address == address)
            .take(count)
            .map(|waiter| {
                waiter.woken = true;
                waiter.thread
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiting_are_woken_first_and_each_once() {
        let mut waiters = Waiters::default();
        for thread in 0..4 {
            waiters.enqueue(thread, 8);
        }
        waiters.enqueue(4, 16);
        assert_eq!(waiters.wake(8, 2), [0, 1]);
        assert_eq!(waiters.wake(8, 1), [2]);
        assert!(waiters.take_woken(0));
        assert!(!waiters.take_woken(0));
        assert!(!waiters.take_woken(3));
        waiters.give_up(3);
        assert!(waiters.wake(8, 9).is_empty());
        assert_eq!(waiters.wake(16, 9), [4]);
    }
}
