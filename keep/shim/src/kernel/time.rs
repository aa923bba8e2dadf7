//! The calls of time.

use enarx_wire_hostcall::call::Operation;
use linux_raw_sys::general;

use super::Kernel;
use crate::{Error, UserMemory, clock::SECOND, platform::Platform};

impl<P: Platform> Kernel<P> {
    /// Nanoseconds of the monotonic clock.
    pub(super) fn now(&self) -> u64 {
        self.clock.monotonic(&self.platform)
    }

    /// Nanoseconds since 1970.
    pub(super) fn wall(&self) -> u64 {
        self.clock.wall(&self.platform)
    }

    /// The moment of the monotonic clock at which the wall clock shows `moment`.
    pub(super) fn moment_of_wall(&self, moment: u64) -> u64 {
        self.now()
            .saturating_add(moment.saturating_sub(self.wall()))
    }

    /// Waits until this thread is unparked or `deadline` has passed; gives whether it has not.
    /// The host may end the waiting at any time.
    pub(super) fn park(&self, deadline: Option<u64>) -> bool {
        let left = match deadline {
            None => u64::MAX,
            Some(deadline) => deadline.saturating_sub(self.now()),
        };
        if left == 0 {
            return false;
        }
        self.platform.ask(Operation::Park, [left, 0, 0, 0]);
        deadline.is_none_or(|deadline| self.now() < deadline)
    }

    /// The `struct timespec` at `address` in nanoseconds.
    pub(super) fn duration(&self, address: u64) -> Result<u64, Error> {
        let [seconds, nanoseconds] = self.longs(address)?;
        if seconds > i64::MAX.unsigned_abs() || nanoseconds >= SECOND {
            return Err(Error::EINVAL);
        }
        Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
    }

    pub(super) fn clock_gettime(&self, [clock, into, ..]: [u64; 6]) -> Result<u64, Error> {
        let time = match u32::try_from(clock) {
            Ok(general::CLOCK_REALTIME) => self.wall(),
            Ok(
                general::CLOCK_MONOTONIC
                | general::CLOCK_BOOTTIME
                // How long a thread really ran, only the host knows.
                | general::CLOCK_PROCESS_CPUTIME_ID
                | general::CLOCK_THREAD_CPUTIME_ID,
            ) => self.now(),
            _ => return Err(Error::EINVAL),
        };
        self.write_time(into, time)?;
        Ok(0)
    }

    pub(super) fn clock_getres(&self, [clock, into, ..]: [u64; 6]) -> Result<u64, Error> {
        if clock > u64::from(general::CLOCK_TAI) {
            return Err(Error::EINVAL);
        }
        if into != 0 {
            self.write_time(into, 1)?;
        }
        Ok(0)
    }

    pub(super) fn clock_nanosleep(
        &self,
        [clock, flags, request, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        let moment = self.duration(request)?;
        let deadline = match (u32::try_from(clock), flags as u32 & general::TIMER_ABSTIME) {
            (Ok(general::CLOCK_REALTIME), general::TIMER_ABSTIME) => self.moment_of_wall(moment),
            (Ok(general::CLOCK_MONOTONIC | general::CLOCK_BOOTTIME), general::TIMER_ABSTIME) => {
                moment
            }
            (
                Ok(general::CLOCK_REALTIME | general::CLOCK_MONOTONIC | general::CLOCK_BOOTTIME),
                _,
            ) => self.now().saturating_add(moment),
            _ => return Err(Error::EINVAL),
        };
        while self.park(Some(deadline)) {}
        Ok(0)
    }

    /// Writes `struct timespec`.
    fn write_time(&self, into: u64, time: u64) -> Result<(), Error> {
        self.write_longs(into, [time / SECOND, time % SECOND])
    }
}
