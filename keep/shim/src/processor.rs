//! What the processor has for every shim.

use core::{arch::asm, iter};

/// The time-stamp counter.
#[must_use]
pub fn counter() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Fills `bytes` from the processor's generator.
///
/// # Errors
///
/// [`NoRandomness`] when it gives nothing, however often it is asked.
pub fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random_word(generate)?.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

/// The processor gave no random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

/// A number from a generator, which is asked again as often as Intel's "Digital Random Number Generator
/// Software Implementation Guide" advises. Those of some processors of AMD's are known to have given
/// nothing but ones.
fn random_word(generate: impl FnMut() -> Option<u64>) -> Result<u64, NoRandomness> {
    const TRIES: usize = 10;
    iter::repeat_with(generate)
        .take(TRIES)
        .flatten()
        .find(|word| *word != u64::MAX)
        .ok_or(NoRandomness)
}

/// A number from the processor's generator (RDRAND), if it has one now.
fn generate() -> Option<u64> {
    let (word, given): (u64, u8);
    // SAFETY: reads random bits.
    unsafe {
        asm!(
            "rdrand {word}",
            "setc {given}",
            word = out(reg) word,
            given = out(reg_byte) given,
            options(nomem, nostack),
        );
    }
    (given == 1).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_gives_nothing_or_only_ones_is_refused() {
        assert_eq!(random_word(|| None), Err(NoRandomness));
        assert_eq!(random_word(|| Some(u64::MAX)), Err(NoRandomness));
        let mut given = [None, Some(u64::MAX), Some(0)].into_iter();
        assert_eq!(random_word(|| given.next().flatten()), Ok(0));
    }
}
