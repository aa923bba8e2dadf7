//! Points in time, always given by the caller.

use core::{fmt, time::Duration};

use x509_cert::der::DateTime;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

/// As a date and time in UTC; as seconds after the year 9999.
impl fmt::Display for UnixTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(date) => write!(formatter, "{date}"),
            Err(_) => write!(formatter, "{} s since 1970", self.0),
        }
    }
}

/// A period during which certificates hold, both ends included (RFC 5280, section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second of the period.
    pub not_before: UnixTime,
    /// Last second of the period.
    pub not_after: UnixTime,
}

impl Validity {
    /// Whether `now` lies in the period.
    #[must_use]
    pub fn contains(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The period during which both hold; empty when they do not overlap.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(not_before: u64, not_after: u64) -> Validity {
        Validity {
            not_before: UnixTime(not_before),
            not_after: UnixTime(not_after),
        }
    }

    #[test]
    fn people_read_dates() {
        assert_eq!(UnixTime(1_800_000_000).to_string(), "2027-01-15T08:00:00Z");
        assert_eq!(UnixTime(0).to_string(), "1970-01-01T00:00:00Z");
        let far = format!("{} s since 1970", u64::MAX);
        assert_eq!(UnixTime(u64::MAX).to_string(), far);
    }

    #[test]
    fn both_ends_belong_to_a_period() {
        let period = period(10, 20);
        assert!(!period.contains(UnixTime(9)));
        assert!(period.contains(UnixTime(10)));
        assert!(period.contains(UnixTime(20)));
        assert!(!period.contains(UnixTime(21)));
    }

    #[test]
    fn periods_that_do_not_overlap_leave_nothing() {
        let never = period(10, 20).intersection(period(30, 40));
        assert!((0..50).all(|second| !never.contains(UnixTime(second))));
        assert_eq!(period(10, 20).intersection(period(15, 40)), period(15, 20));
    }
}
