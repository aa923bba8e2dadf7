//! The owner's wish that the program stops.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Tells a program that can end in good order to do so.
pub struct Stop {
    sender: watch::Sender<bool>,
    /// Whether the program listens.
    is_heard: AtomicBool,
}

/// The program's side.
pub type Stopping = watch::Receiver<bool>;

impl Stop {
    /// Nobody has asked for anything.
    pub fn new() -> Self {
        Self {
            sender: watch::Sender::new(false),
            is_heard: AtomicBool::new(false),
        }
    }

    /// Listens from now on: who asks leaves the program time for its end.
    pub fn listen(&self) -> Stopping {
        self.is_heard.store(true, Ordering::Release);
        self.sender.subscribe()
    }

    /// Asks; gives whether the program was told, and now, for the first time.
    pub fn ask(&self) -> bool {
        self.is_heard.load(Ordering::Acquire) && !self.sender.send_replace(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_listens_is_told_and_once() {
        let stop = Stop::new();
        assert!(!stop.ask());
        let stopping = stop.listen();
        assert!(!*stopping.borrow());
        assert!(stop.ask());
        assert!(*stopping.borrow());
        assert!(!stop.ask());
    }
}
