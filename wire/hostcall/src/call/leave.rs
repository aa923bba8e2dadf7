//! Why a Keep was left.

/// Why a thread left its enclave: the number that it leaves in RDI.
///
/// A thread is entered with the address of its block in RDI and zeros in the other registers
/// that reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Leave {
    /// A request is in the thread's block. The host answers it and enters again.
    Call = 0,
    /// An exception was handled. The host resumes the thread.
    Resume = 1,
    /// The thread has ended. The host enters it again when
    /// [`Operation::StartThread`](super::Operation::StartThread) says so.
    ThreadEnded = 2,
    /// The Keep refuses to go on; RSI has a number that says why. The host ends it.
    Abort = 3,
}

impl Leave {
    const ALL: [Self; 4] = [Self::Call, Self::Resume, Self::ThreadEnded, Self::Abort];

    /// The reason with this number.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|leave| *leave as u64 == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for leave in Leave::ALL {
            assert_eq!(Leave::from_code(leave as u64), Some(leave));
        }
        assert_eq!(Leave::from_code(4), None);
        assert_eq!(Leave::from_code(1 << 32), None);
    }
}
