//! Random numbers from the CPU, the only source that the host does not control.

use std::{convert::Infallible, hint::spin_loop};

use rand_core::{TryCryptoRng, TryRng};

/// The CPU's random number generator: RDSEED, or RDRAND where the CPU has no
/// RDSEED or it is exhausted.
///
/// Values that a broken generator gives (all bits equal, or the value before) are
/// not used.
#[derive(Clone)]
pub struct CpuRandom {
    has_seed: bool,
    last: u64,
}

impl CpuRandom {
    /// The generator, after it has given a few sound values.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the CPU has no generator, or it does not work.
    pub fn new() -> Result<Self, EntropyError> {
        if !std::arch::is_x86_feature_detected!("rdrand") {
            return Err(EntropyError::Missing);
        }
        let mut random = Self {
            has_seed: std::arch::is_x86_feature_detected!("rdseed"),
            last: 0,
        };
        for _ in 0..START_VALUES {
            random.word()?;
        }
        Ok(random)
    }

    fn word(&mut self) -> Result<u64, EntropyError> {
        let seeds = (0..SEED_ATTEMPTS * usize::from(self.has_seed)).map(|_| rdseed());
        let randoms = (0..RANDOM_ATTEMPTS).map(|_| rdrand());
        for value in seeds.chain(randoms) {
            match value {
                Some(value) if is_sound(value, self.last) => {
                    self.last = value;
                    return Ok(value);
                }
                _ => spin_loop(),
            }
        }
        Err(EntropyError::Exhausted)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            let word = self.word()?.to_ne_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

/// Fills `bytes` with the CPU's random numbers.
///
/// # Errors
///
/// As [`CpuRandom::new`].
pub fn fill(bytes: &mut [u8]) -> Result<(), EntropyError> {
    CpuRandom::new()?.fill(bytes)
}

/// The CPU gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntropyError {
    /// It has no instruction for them.
    #[error("the CPU has no random number generator (RDRAND)")]
    Missing,
    /// It gave no sound value in many attempts.
    #[error("the CPU's random number generator gives no values")]
    Exhausted,
}

// The trait has no errors, and a Keep without entropy must not go on: it panics,
// which ends the process.
impl TryRng for CpuRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = expected(self.word()).to_ne_bytes();
        Ok(u32::from_ne_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(expected(self.word()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        expected(self.fill(bytes));
        Ok(())
    }
}

impl TryCryptoRng for CpuRandom {}

fn expected<T>(result: Result<T, EntropyError>) -> T {
    result.expect("a CPU whose generator worked at the start keeps working")
}

/// RDSEED is exhausted easily when several cores ask; Intel's software guide for
/// the generator (section 5.3.1) leaves the number of attempts to the program.
const SEED_ATTEMPTS: usize = 256;

/// RDRAND's failing ten times in a row means a broken CPU (the same guide, 5.2.1).
const RANDOM_ATTEMPTS: usize = 16;

/// Values drawn before the generator is trusted.
const START_VALUES: usize = 8;

/// A good generator fails this once in 2^62 values.
const fn is_sound(value: u64, last: u64) -> bool {
    value != 0 && value != u64::MAX && value != last
}

fn rdseed() -> Option<u64> {
    let mut value = 0;
    // SAFETY: called only where CPUID reports RDSEED.
    let valid = unsafe { seed_step(&mut value) };
    (valid == 1).then_some(value)
}

fn rdrand() -> Option<u64> {
    let mut value = 0;
    // SAFETY: `CpuRandom::new` refuses CPUs without RDRAND.
    let valid = unsafe { random_step(&mut value) };
    (valid == 1).then_some(value)
}

#[target_feature(enable = "rdseed")]
fn seed_step(value: &mut u64) -> i32 {
    std::arch::x86_64::_rdseed64_step(value)
}

#[target_feature(enable = "rdrand")]
fn random_step(value: &mut u64) -> i32 {
    std::arch::x86_64::_rdrand64_step(value)
}

/// Where dependencies that ask the `getrandom` crate get their randomness in the
/// Keep image, which is built with `--cfg getrandom_backend="custom"`.
#[cfg(getrandom_backend = "custom")]
mod backend {
    /// # Safety
    ///
    /// `start` must be valid for writing `length` bytes.
    // SAFETY: `getrandom` documents this very symbol for this purpose; nothing else
    // defines it.
    #[unsafe(no_mangle)]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        start: *mut u8,
        length: usize,
    ) -> Result<(), getrandom::Error> {
        // SAFETY: the bytes are written before they are read: zeroed here.
        let bytes = unsafe {
            start.write_bytes(0, length);
            std::slice::from_raw_parts_mut(start, length)
        };
        super::fill(bytes).map_err(|_| getrandom::Error::UNEXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_broken_generator_are_not_used() {
        assert!(!is_sound(0, 5));
        assert!(!is_sound(u64::MAX, 5));
        assert!(!is_sound(5, 5));
        assert!(is_sound(6, 5));
    }

    #[test]
    fn both_instructions_give_different_values() {
        let mut seen = std::collections::HashSet::new();
        for has_seed in [true, false] {
            let mut random = CpuRandom::new().unwrap();
            random.has_seed &= has_seed;
            for _ in 0..1000 {
                assert!(seen.insert(random.word().unwrap()));
            }
        }
    }

    #[test]
    fn odd_lengths_are_filled() {
        let mut random = CpuRandom::new().unwrap();
        for length in 0..40 {
            let mut bytes = vec![0; length];
            random.fill(&mut bytes).unwrap();
            assert!(length < 16 || bytes[length - 8..] != [0; 8]);
        }
    }
}
