//! What the processor says of itself.

use std::collections::HashMap;

use rustix::io::Errno;

/// Answers to CPUID.
///
/// Those that every Keep wants are asked for beforehand: in a virtual machine each costs tens of
/// microseconds, and more where CPUID faults, as it does in threads that run simulated enclaves.
pub(super) struct Processor(HashMap<(u32, u32), [u8; 16]>);

impl Processor {
    pub(super) fn new() -> Self {
        /// Leaves and subleaves that a C library and a Rust program look at when they start.
        const WANTED: [(u32, u32); 17] = [
            (0, 0),
            (1, 0),
            (2, 0),
            (4, 0),
            (4, 1),
            (4, 2),
            (4, 3),
            (4, 4),
            (7, 0),
            (0xD, 0),
            (0xD, 1),
            (0x8000_0000, 0),
            (0x8000_0001, 0),
            (0x8000_0005, 0),
            (0x8000_0006, 0),
            (0x8000_0007, 0),
            (0x8000_0008, 0),
        ];
        let answers = WANTED.into_iter().filter_map(|(leaf, subleaf)| {
            let answer = execute(leaf, subleaf).ok()?;
            Some(((leaf, subleaf), answer))
        });
        Self(answers.collect())
    }

    /// EAX, EBX, ECX and EDX for a leaf and subleaf.
    pub(super) fn cpuid(&self, leaf: u32, subleaf: u32) -> Result<[u8; 16], Errno> {
        match self.0.get(&(leaf, subleaf)) {
            Some(answer) => Ok(*answer),
            None => execute(leaf, subleaf),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn execute(leaf: u32, subleaf: u32) -> Result<[u8; 16], Errno> {
    let found = std::arch::x86_64::__cpuid_count(leaf, subleaf);
    let mut bytes = [0; 16];
    let registers = [found.eax, found.ebx, found.ecx, found.edx];
    for (slot, register) in bytes.chunks_exact_mut(4).zip(registers) {
        slot.copy_from_slice(&register.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(not(target_arch = "x86_64"))]
fn execute(_: u32, _: u32) -> Result<[u8; 16], Errno> {
    Err(Errno::NOSYS)
}
