//! The host's time, and what a Keep needs to go on counting it by itself.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The wall clock, and the frequency of the time-stamp counter.
#[derive(Debug)]
pub(super) struct Clock {
    start: Sample,
    frequency: OnceLock<u64>,
}

/// The time-stamp counter and the monotonic clock at the same moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    ticks: u64,
    nanoseconds: u64,
}

/// The least time over which a frequency is measured: what reading both clocks takes is
/// less than a ten-thousandth of it.
const MEASURED_TIME: Duration = Duration::from_millis(5);

/// When this process began, as far as it has noted that.
static BEGINNING: OnceLock<Sample> = OnceLock::new();

/// Notes the time when a Keep's process begins, so that a frequency that must be measured is by the time
/// that the Keep asks.
pub(crate) fn begin() {
    BEGINNING.get_or_init(Sample::take);
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: *BEGINNING.get_or_init(Sample::take),
            frequency: OnceLock::new(),
        }
    }

    /// Nanoseconds since 1970.
    pub(super) fn wall_nanoseconds() -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The frequency of the time-stamp counter in Hz.
    pub(super) fn frequency(&self) -> u64 {
        *self
            .frequency
            .get_or_init(|| told_frequency().unwrap_or_else(|| self.measured_frequency()))
    }

    fn measured_frequency(&self) -> u64 {
        let passed = Sample::take().since(self.start);
        if let Some(rest) = MEASURED_TIME.checked_sub(Duration::from_nanos(passed.nanoseconds)) {
            std::thread::sleep(rest);
        }
        let passed = Sample::take().since(self.start);
        let ticks = u128::from(passed.ticks) * 1_000_000_000;
        // The monotonic clock has gone on for longer than zero.
        u64::try_from(ticks / u128::from(passed.nanoseconds.max(1))).unwrap_or(u64::MAX)
    }
}

impl Sample {
    /// Of a few tries the one whose two readings lie closest together.
    fn take() -> Self {
        const TRIES: usize = 5;
        let read = || {
            let before = ticks();
            let nanoseconds = monotonic_nanoseconds();
            let after = ticks();
            let width = after.wrapping_sub(before);
            (
                width,
                Self {
                    ticks: before.wrapping_add(width / 2),
                    nanoseconds,
                },
            )
        };
        let best = std::iter::repeat_with(read)
            .take(TRIES)
            .min_by_key(|(width, _)| *width);
        best.unwrap_or_else(read).1
    }

    fn since(self, start: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(start.ticks),
            nanoseconds: self.nanoseconds.saturating_sub(start.nanoseconds),
        }
    }
}

fn monotonic_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::MonotonicRaw);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: RDTSC changes nothing but its results; where it is forbidden (PR_SET_TSC) the
    // process ends, and nothing here forbids it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// What the processor or the hypervisor says.
///
/// Leaf 15H gives the ratio to a crystal and, on some processors, the crystal's frequency
/// (Intel SDM, volume 2A, CPUID). Hypervisors give the frequency in kHz in leaf 40000010H
/// (VMware's "Hypervisor CPUID Interface Proposal", also of KVM). Leaf 16H gives a frequency
/// that is marketing's and not the counter's, and is not asked.
#[cfg(target_arch = "x86_64")]
fn told_frequency() -> Option<u64> {
    use std::arch::x86_64::__cpuid;

    const HYPERVISOR: u32 = 0x4000_0000;
    const HYPERVISOR_TIMING: u32 = 0x4000_0010;
    const CRYSTAL: u32 = 0x15;
    const HYPERVISOR_PRESENT: u32 = 1 << 31;

    let virtual_machine = __cpuid(1).ecx & HYPERVISOR_PRESENT != 0;
    if virtual_machine && __cpuid(HYPERVISOR).eax >= HYPERVISOR_TIMING {
        let kilohertz = __cpuid(HYPERVISOR_TIMING).eax;
        if kilohertz != 0 {
            return Some(u64::from(kilohertz) * 1000);
        }
    }
    if __cpuid(0).eax < CRYSTAL {
        return None;
    }
    let leaf = __cpuid(CRYSTAL);
    let hertz = u64::from(leaf.ecx) * u64::from(leaf.ebx);
    hertz
        .checked_div(u64::from(leaf.eax))
        .filter(|hertz| *hertz != 0)
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    monotonic_nanoseconds()
}

#[cfg(not(target_arch = "x86_64"))]
fn told_frequency() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_is_that_of_a_processor_and_stays_what_it_is() {
        let clock = Clock::new();
        let frequency = clock.frequency();
        assert!(
            (100_000_000..100_000_000_000).contains(&frequency),
            "{frequency}"
        );
        assert_eq!(clock.frequency(), frequency);
    }

    #[test]
    fn what_is_told_is_what_is_measured() {
        let measured = Clock::new().measured_frequency();
        if let Some(told) = told_frequency() {
            assert!(told.abs_diff(measured) < told / 20, "{told} {measured}");
        }
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        let years = Clock::wall_nanoseconds() / 1_000_000_000 / 86_400 / 365;
        assert!((50..140).contains(&years), "{years}");
    }
}
