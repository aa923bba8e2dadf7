//! Where a thread of a Keep waits for another to wake it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// One thread's place: it holds at most one token.
#[derive(Debug, Default)]
pub(super) struct Parking {
    token: Mutex<bool>,
    changed: Condvar,
}

impl Parking {
    /// Takes the token, and waits for it until `timeout` has passed. Whether it came.
    pub(super) fn park(&self, timeout: Option<Duration>) -> bool {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let mut token = match timeout {
            None => self
                .changed
                .wait_while(token, |token| !*token)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.changed
                    .wait_timeout_while(token, timeout, |token| !*token)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        std::mem::take(&mut token)
    }

    /// Leaves the token.
    pub(super) fn unpark(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn there_is_one_token() {
        let parking = Parking::default();
        assert!(!parking.park(Some(Duration::ZERO)));
        parking.unpark();
        parking.unpark();
        assert!(parking.park(None));
        assert!(!parking.park(Some(Duration::from_nanos(1))));
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let parking = Arc::new(Parking::default());
        let other = Arc::clone(&parking);
        let thread = std::thread::spawn(move || other.park(None));
        parking.unpark();
        assert!(thread.join().unwrap());
    }
}
