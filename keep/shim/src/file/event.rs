//! Counters that are waited for (`eventfd`).

use super::watch::{Activity, State};
use super::{Files, Object};
use crate::Error;
use linux_raw_sys::general::{EFD_CLOEXEC, EFD_NONBLOCK, EPOLLIN, EPOLLOUT, O_RDWR};

/// What an event descriptor counts.
#[derive(Debug)]
pub struct Counter {
    value: u64,

    activity: Activity,
}

impl Counter {
    /// The highest value; one more means an overflow, which nothing here can cause.
    const HIGHEST: u64 = u64::MAX - 1;

    pub(super) fn take(&mut self) -> Result<u64, Error> {
        if self.value == 0 {
            return Err(Error::EAGAIN);
        }
        self.activity.writing();
        Ok(core::mem::take(&mut self.value))
    }

    pub(super) fn add(&mut self, count: u64) -> Result<(), Error> {
        if count > Self::HIGHEST {
            return Err(Error::EINVAL);
        }
        if count > Self::HIGHEST - self.value {
            return Err(Error::EAGAIN);
        }
        self.value += count;
        self.activity.reading();
        Ok(())
    }

    pub(super) fn state(&self) -> State {
        let readable = if self.value > 0 { EPOLLIN } else { 0 };
        let writable = if self.value < Self::HIGHEST {
            EPOLLOUT
        } else {
            0
        };
        State {
            events: readable | writable,
            activity: self.activity,
            ..State::default()
        }
    }
}

impl Files {
    pub(super) fn eventfd(&mut self, value: u32, flags: u32) -> Result<u64, Error> {
        if flags & !(EFD_CLOEXEC | EFD_NONBLOCK) != 0 {
            return Err(Error::EINVAL);
        }
        let counter = Counter {
            value: u64::from(value),
            activity: Activity::default(),
        };
        let status = O_RDWR | EFD_NONBLOCK;
        self.table.insert(Object::EventFd(counter), status)
    }
}
