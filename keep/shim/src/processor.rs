//! What the processor has for every shim.

use core::arch::asm;

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
        chunk.copy_from_slice(&random_word()?.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

/// The processor gave no random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

/// A number from the processor's generator (RDRAND), which is asked again as often as Intel's
/// "Digital Random Number Generator Software Implementation Guide" advises.
fn random_word() -> Result<u64, NoRandomness> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
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
        if given == 1 {
            return Ok(word);
        }
    }
    Err(NoRandomness)
}
