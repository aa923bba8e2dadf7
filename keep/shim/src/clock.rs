//! Time that never goes backwards.

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::platform::{Platform, Stop};
use enarx_wire_hostcall::call::Operation;

/// The Keep's clock: the processor's counter, and what the host said about it once.
///
/// The host knows the counter's frequency and the time of day, and the Keep cannot check
/// either; and it can make the counter jump. So no security rests on this clock. What is
/// promised is that it never goes backwards, that the host is asked once, and that a frequency is
/// one that a processor can have.
#[derive(Debug, Default)]
pub struct Clock {
    origin: Once<Origin>,
    /// The latest time that anybody has seen, in nanoseconds since the origin.
    latest: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    counter: u64,
    frequency: u64,
    wall: u64,
}

/// Frequencies, in Hz, that counters have.
const FREQUENCIES: core::ops::RangeInclusive<u64> = 100_000_000..=20_000_000_000;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

impl Clock {
    /// Nanoseconds since some moment, the same for all threads; never less than before.
    pub fn monotonic(&self, platform: &impl Platform) -> u64 {
        let origin = self.origin(platform);
        let ticks = platform.counter().saturating_sub(origin.counter);
        let nanoseconds = u128::from(ticks) * u128::from(SECOND) / u128::from(origin.frequency);
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        // Not zero, which some programs take for "no time".
        let now = nanoseconds.saturating_add(SECOND);
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Nanoseconds since 1970, as the host has it.
    pub fn wall(&self, platform: &impl Platform) -> u64 {
        let since_origin = self.monotonic(platform) - SECOND;
        self.origin(platform).wall.saturating_add(since_origin)
    }

    fn origin(&self, platform: &impl Platform) -> Origin {
        *self.origin.call_once(|| {
            let mut answer = [[0; 8]; 2];
            let into = answer.as_flattened_mut();
            let answered = platform.call(Operation::Clock, [0; 4], &[], 0, into);
            let [wall, frequency] = answer.map(u64::from_le_bytes);
            let sound = answered.result == 0
                && answered.length == size_of_val(&answer)
                && FREQUENCIES.contains(&frequency);
            if !sound {
                platform.stop(Stop::Clock);
            }
            Origin {
                counter: platform.counter(),
                frequency,
                wall,
            }
        })
    }
}
