//! Points in time.

/// Time since 1970, as files keep it: what a program sets may be before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl Time {
    pub fn from_nanoseconds(nanoseconds: u64) -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            seconds: (nanoseconds / SECOND) as i64,
            nanoseconds: (nanoseconds % SECOND) as u32,
        }
    }
}
