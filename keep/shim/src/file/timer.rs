//! Timers that are waited for (`timerfd`).

use linux_raw_sys::general::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, EPOLLIN, O_RDWR, TFD_CLOEXEC, TFD_NONBLOCK,
    TFD_TIMER_ABSTIME,
};

use super::watch::{Activity, Now, State};
use super::{Files, Object};
use crate::{Error, UserMemory};

/// A timer.
#[derive(Debug)]
pub struct Timer {
    /// Whether times are those of the wall clock.
    is_wall: bool,

    /// When it expires next, in nanoseconds of the monotonic clock.
    due: Option<u64>,

    /// Nanoseconds from there to the next time, or zero.
    interval: u64,

    activity: Activity,
}

impl Timer {
    /// How often it has expired and nobody was told.
    fn expirations(&self, now: Now) -> u64 {
        match self.due.and_then(|due| now.monotonic.checked_sub(due)) {
            None => 0,
            Some(late) => 1 + late.checked_div(self.interval).unwrap_or(0),
        }
    }

    pub(super) fn take(&mut self, now: Now) -> Result<u64, Error> {
        let count = self.expirations(now);
        if count == 0 {
            return Err(Error::EAGAIN);
        }
        self.due = match self.interval {
            0 => None,
            interval => self
                .due
                .and_then(|due| due.checked_add(interval.saturating_mul(count))),
        };
        // What is told of an edge counts on.
        self.activity.readable = self.activity.readable.wrapping_add(count as u32);
        Ok(count)
    }

    pub(super) fn state(&self, now: Now) -> State {
        let count = self.expirations(now);
        let later = self.interval.checked_mul(count);
        State {
            events: if count > 0 { EPOLLIN } else { 0 },
            due: match count {
                0 => self.due,
                _ if self.interval == 0 => None,
                _ => self
                    .due
                    .zip(later)
                    .and_then(|(due, later)| due.checked_add(later)),
            },
            activity: Activity {
                readable: self.activity.readable.wrapping_add(count as u32),
                writable: 0,
            },
            ..State::default()
        }
    }

    /// `struct itimerspec`: the interval, and how long it is until it expires.
    fn record(&self, now: Now) -> [u8; 32] {
        let left = match self.due {
            None => 0,
            Some(due) if due > now.monotonic => due - now.monotonic,
            Some(_) if self.interval == 0 => 0,
            Some(due) => self.interval - (now.monotonic - due) % self.interval,
        };
        let mut record = [0; 32];
        for (place, time) in record.as_chunks_mut().0.iter_mut().zip([
            self.interval / SECOND,
            self.interval % SECOND,
            left / SECOND,
            left % SECOND,
        ]) {
            *place = time.to_le_bytes();
        }
        record
    }
}

const SECOND: u64 = 1_000_000_000;

impl Files {
    pub(super) fn make_timer(&mut self, clock: u32, flags: u32) -> Result<u64, Error> {
        let known = matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME);
        if !known || flags & !(TFD_CLOEXEC | TFD_NONBLOCK) != 0 {
            return Err(Error::EINVAL);
        }
        let timer = Timer {
            is_wall: clock == CLOCK_REALTIME,
            due: None,
            interval: 0,
            activity: Activity::default(),
        };
        let status = O_RDWR | flags & TFD_NONBLOCK;
        self.table
            .insert(Object::Timer(timer), status, flags & TFD_CLOEXEC != 0)
    }

    pub(super) fn set_timer(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        flags: u32,
        new: u64,
        old: u64,
        now: Now,
    ) -> Result<u64, Error> {
        let field = |index: u64| memory.long(new.wrapping_add(8 * index));
        let time = |seconds: u64, nanoseconds: u64| {
            if seconds > i64::MAX as u64 || nanoseconds >= SECOND {
                return Err(Error::EINVAL);
            }
            Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
        };
        let fields = [field(0)?, field(1)?, field(2)?, field(3)?];
        if flags & !TFD_TIMER_ABSTIME != 0 {
            return Err(Error::EINVAL);
        }
        let interval = time(fields[0], fields[1])?;
        let first = time(fields[2], fields[3])?;
        let timer = self.timer(descriptor)?;
        let before = timer.record(now);
        timer.interval = interval;
        timer.due = match first {
            0 => None,
            _ if flags & TFD_TIMER_ABSTIME == 0 => Some(now.monotonic.saturating_add(first)),
            _ if timer.is_wall => {
                let left = first.saturating_sub(now.wall);
                Some(now.monotonic.saturating_add(left))
            }
            _ => Some(first),
        };
        self.changes += 1;
        if old != 0 {
            memory.write(old, &before)?;
        }
        Ok(0)
    }

    pub(super) fn timer_setting(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        into: u64,
        now: Now,
    ) -> Result<u64, Error> {
        let record = self.timer(descriptor)?.record(now);
        memory.write(into, &record)?;
        Ok(0)
    }

    fn timer(&mut self, descriptor: i32) -> Result<&mut Timer, Error> {
        match &mut self.table.opened_mut(descriptor)?.object {
            Object::Timer(timer) => Ok(timer),
            _ => Err(Error::EINVAL),
        }
    }
}
