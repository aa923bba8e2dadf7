//! What the runtime may know of the processor.
//!
//! CPUID does not exist in an enclave, so the host is asked, and can lie. A feature that is
//! claimed and missing makes the program fault, and one that is hidden makes it slow; nothing
//! else may follow. So only leaves that say what instructions there are, and the sizes
//! of caches, are let in, and of the features only those whose state is kept in the enclave.

/// The registers that CPUID leaves: EAX, EBX, ECX, EDX.
pub type Answer = [u32; 4];

/// Size of the state that XSAVE keeps here, in bytes: the legacy region, the header, AVX.
const STATE_SIZE: u32 = 576 + 256;

/// Whether a leaf is let in at all.
#[must_use]
pub const fn is_known(leaf: u32) -> bool {
    matches!(
        leaf,
        0 | 1 | 2 | 4 | 7 | 0xD | 0x8000_0000 | 0x8000_0001 | 0x8000_0005..=0x8000_0008
    )
}

/// Whether the answers to a leaf's subleaves differ.
#[must_use]
pub const fn has_subleaves(leaf: u32) -> bool {
    matches!(leaf, 4 | 7 | 0xD)
}

/// What is let in of the host's answer to a leaf and subleaf (Intel SDM volume 2A, "CPUID").
#[must_use]
pub fn filter(leaf: u32, subleaf: u32, [a, b, c, d]: Answer) -> Answer {
    /// The highest leaf that says anything.
    const HIGHEST: u32 = 0xD;
    const HIGHEST_EXTENDED: u32 = 0x8000_0008;
    /// Of leaf 1: MONITOR, VMX, SMX, EIST, TM2, PDCM, PCID, DCA, x2APIC, TSC deadline, and
    /// that there is a hypervisor.
    const LEAF_1_ECX_HIDDEN: u32 = bits(&[3, 5, 6, 7, 8, 15, 17, 18, 21, 24, 31]);
    /// Of leaf 7: FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA.
    const LEAF_7_EBX: u32 = bits(&[0, 3, 5, 7, 8, 9, 18, 19, 23, 24, 29]);
    /// GFNI, VAES, VPCLMULQDQ: those that work on the registers of AVX too.
    const LEAF_7_ECX: u32 = bits(&[8, 9, 10]);
    /// Fast short REP MOV.
    const LEAF_7_EDX: u32 = bits(&[4]);
    /// XSAVEOPT, XSAVEC, XGETBV with ECX 1.
    const LEAF_D_1_EAX: u32 = bits(&[0, 1, 2]);
    const AVX_STATE_SIZE: u32 = 256;
    const AVX_STATE_OFFSET: u32 = 576;
    match (leaf, subleaf) {
        (0, _) => [a.min(HIGHEST), b, c, d],
        // The local APIC's number, in EBX, is where the thread runs.
        (1, _) => [a, b & 0x00FF_FFFF, c & !LEAF_1_ECX_HIDDEN, d],
        (2 | 4 | 0x8000_0001 | 0x8000_0005..=0x8000_0008, _) => [a, b, c, d],
        (7, 0) => [0, b & LEAF_7_EBX, c & LEAF_7_ECX, d & LEAF_7_EDX],
        (0xD, 0) => [0b111, STATE_SIZE, STATE_SIZE, 0],
        (0xD, 1) => [a & LEAF_D_1_EAX, STATE_SIZE, 0, 0],
        (0xD, 2) => [AVX_STATE_SIZE, AVX_STATE_OFFSET, 0, 0],
        (0x8000_0000, _) => [a.min(HIGHEST_EXTENDED), b, c, d],
        _ => [0; 4],
    }
}

/// The number with these bits set.
const fn bits(mut places: &[u32]) -> u32 {
    let mut number = 0;
    while let [place, others @ ..] = places {
        number |= 1 << *place;
        places = others;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Answer = [u32::MAX; 4];

    #[test]
    fn only_state_that_the_enclave_keeps_is_announced() {
        const AVX512F: u32 = 1 << 16;
        let [_, features, _, _] = filter(7, 0, ALL);
        assert_eq!(features & AVX512F, 0);
        assert_eq!(filter(0xD, 0, ALL), [7, 832, 832, 0]);
        assert_eq!(filter(7, 1, ALL), [0; 4]);
    }

    #[test]
    fn unknown_leaves_say_nothing() {
        for leaf in [3, 5, 6, 0xB, 0x12, 0x15, 0x1F, 0x4000_0000, 0x8000_0002] {
            assert!(!is_known(leaf), "{leaf:#x}");
            assert_eq!(filter(leaf, 0, ALL), [0; 4]);
        }
        assert_eq!(filter(0, 0, ALL)[0], 0xD);
        assert_eq!(filter(0x8000_0000, 0, ALL)[0], 0x8000_0008);
    }
}
