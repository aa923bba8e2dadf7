//! The wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::HostWallClock;

/// The time of day, as the host claims it, but never before what the owner's clock
/// said at provisioning plus the time since.
#[derive(Debug, Clone, Copy)]
pub struct KeepClock {
    floor: Duration,
    started: Instant,
}

impl KeepClock {
    /// A clock whose owner's clock shows `floor`, in seconds since the Unix epoch.
    pub fn starting_at(floor: u64) -> Self {
        Self {
            floor: Duration::from_secs(floor),
            started: Instant::now(),
        }
    }

    fn at(&self, host: Duration) -> Duration {
        host.max(self.floor.saturating_add(self.started.elapsed()))
    }
}

impl HostWallClock for KeepClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let host = SystemTime::now().duration_since(UNIX_EPOCH);
        self.at(host.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_cannot_set_it_back() {
        let clock = KeepClock::starting_at(1_000);
        assert!(clock.at(Duration::from_secs(500)) >= Duration::from_secs(1_000));
        assert_eq!(
            clock.at(Duration::from_secs(5_000)),
            Duration::from_secs(5_000)
        );
        let future = KeepClock::starting_at(u64::MAX);
        assert!(future.now() >= Duration::from_secs(u64::MAX));
    }
}
