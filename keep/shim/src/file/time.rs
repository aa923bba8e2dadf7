//! Points in time.

/// Time since 1970, as files keep it: what a program sets may be before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

impl Time {
    /// A point so many nanoseconds after 1970.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            seconds: (nanoseconds / SECOND) as i64,
            nanoseconds: (nanoseconds % SECOND) as u32,
        }
    }
}
