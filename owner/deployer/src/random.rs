//! The owner's source of randomness.

use rand_core::{TryCryptoRng, TryRng};

/// The operating system's generator.
///
/// # Panics
///
/// Its methods panic when the operating system gives no randomness: nothing that is
/// done here could be done without.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl SystemRandom {
    /// The system's generator.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

impl TryRng for SystemRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}
