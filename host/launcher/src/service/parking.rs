//! Where a thread of a Keep waits for another to wake it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// One thread's place: it holds at most one token. As it is a descriptor, a thread can wait for
/// it and for others together.
#[derive(Debug)]
pub(super) struct Parking {
    token: OwnedFd,
}

impl Parking {
    /// A place without a token.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn new() -> io::Result<Self> {
        let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { token })
    }

    /// What can be read as long as the token is there.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.token.as_fd()
    }

    /// Takes the token. Whether it was there.
    pub(super) fn take(&self) -> bool {
        // However often it was left, this takes all.
        rustix::io::read(&self.token, &mut [0; 8]).is_ok()
    }

    /// Leaves the token.
    pub(super) fn unpark(&self) {
        // This fails if it was left more often than can be counted: it is there then.
        let _ = rustix::io::write(&self.token, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_token() {
        let parking = Parking::new().unwrap();
        assert!(!parking.take());
        parking.unpark();
        parking.unpark();
        assert!(parking.take());
        assert!(!parking.take());
    }
}
