//! Measured quantities and how they are shown.

use std::fmt;

use serde::Serialize;

/// A measured quantity with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// A duration; less is better.
    Seconds(f64),
    /// A throughput; more is better.
    BytesPerSecond(f64),
    /// How often something is done; more is better.
    PerSecond(f64),
    /// An amount of memory; less is better.
    Bytes(f64),
}

impl Quantity {
    /// How many times as good this is as `rival`: above 1 is better, below 1 worse.
    ///
    /// # Panics
    ///
    /// When the two have different units.
    pub fn times_as_good_as(self, rival: Self) -> f64 {
        match (self, rival) {
            (Self::Seconds(ours), Self::Seconds(theirs))
            | (Self::Bytes(ours), Self::Bytes(theirs)) => theirs / ours,
            (Self::BytesPerSecond(ours), Self::BytesPerSecond(theirs))
            | (Self::PerSecond(ours), Self::PerSecond(theirs)) => ours / theirs,
            _ => panic!("{self} and {rival} have different units"),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Seconds(seconds) if seconds < 1e-3 => format!("{:.1} µs", seconds * 1e6),
            Self::Seconds(seconds) if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
            Self::Seconds(seconds) => format!("{seconds:.2} s"),
            Self::BytesPerSecond(speed) => format!("{:.2} GB/s", speed / 1e9),
            Self::PerSecond(rate) => format!("{rate:.0} /s"),
            Self::Bytes(bytes) => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
        };
        formatter.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_above_one_whatever_the_unit() {
        assert_eq!(
            Quantity::Seconds(1.0).times_as_good_as(Quantity::Seconds(2.0)),
            2.0
        );
        assert_eq!(
            Quantity::Bytes(4.0).times_as_good_as(Quantity::Bytes(2.0)),
            0.5
        );
        assert_eq!(
            Quantity::BytesPerSecond(4.0).times_as_good_as(Quantity::BytesPerSecond(2.0)),
            2.0
        );
    }

    #[test]
    fn units_fit_their_size() {
        assert_eq!(Quantity::Seconds(0.0000125).to_string(), "12.5 µs");
        assert_eq!(Quantity::Seconds(0.0125).to_string(), "12.50 ms");
        assert_eq!(Quantity::Bytes(1048576.0).to_string(), "1.0 MiB");
    }
}
