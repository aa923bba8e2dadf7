//! Processes that are begun before a launch asks for them.

use std::sync::{Mutex, PoisonError};

use super::Beginning;

/// A process that was begun for a launch that is expected, and what it is for.
#[derive(Debug)]
pub(crate) struct Prepared<Purpose>(Mutex<Option<(Purpose, Beginning)>>);

impl<Purpose: PartialEq> Prepared<Purpose> {
    pub(crate) const fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Keeps a process for `purpose`. One that was kept before ends.
    pub(crate) fn keep(&self, purpose: Purpose, process: Beginning) {
        drop(self.replace(Some((purpose, process))));
    }

    /// The process that was kept for `purpose`. One that was kept for something else ends.
    pub(crate) fn take(&self, purpose: &Purpose) -> Option<Beginning> {
        let (made_for, process) = self.replace(None)?;
        (made_for == *purpose).then_some(process)
    }

    fn replace(&self, other: Option<(Purpose, Beginning)>) -> Option<(Purpose, Beginning)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, other)
    }
}
