//! Exceptions that come while the runtime runs: whether it can have caused them.
//!
//! A host can raise any of them, at any time (SEV-SNP), and what is not the program's doing must not become
//! a signal of its. What the processor has left beside the exception is the guest's own, and speaks against
//! most that are made up; nothing does against divisions by zero, breakpoints, and instructions that
//! do not exist.

use enarx_keep_shim::{Exception, ExtendedState, vector};

/// What the register for the address of a page fault (CR2) has while there was none. No instruction faults
/// there in that way: it is no address (Intel SDM volume 1, 3.3.7.1).
pub const NO_ADDRESS: u64 = 1 << 63;

/// Whether an instruction of a program in 64-bit mode can have caused `exception`, with these flags and
/// this extended state.
#[must_use]
pub fn can_be_of_program(exception: &Exception, flags: u64, extended: &ExtendedState) -> bool {
    const TRAP: u64 = 1 << 8;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    /// Of an error code: the event was none of the program's (Intel SDM volume 3A, 6.13).
    const EXTERNAL: u32 = 1;
    match exception.vector {
        vector::DIVIDE | vector::BREAKPOINT | vector::INVALID_OPCODE => true,
        vector::DEBUG => flags & TRAP != 0,
        vector::STACK | vector::PROTECTION => exception.code & EXTERNAL == 0,
        vector::PAGE_FAULT => exception.address != NO_ADDRESS,
        vector::ALIGNMENT => flags & ALIGNMENT_CHECK != 0,
        // The status word's summary of what is not masked.
        vector::X87 => extended[2] & 1 << 7 != 0,
        // The flags in MXCSR, and above them the masks.
        vector::SIMD => {
            let mxcsr = u16::from_le_bytes([extended[24], extended[25]]);
            mxcsr & !(mxcsr >> 7) & 0x3F != 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use enarx_keep_shim::INITIAL_EXTENDED_STATE;

    fn can_be(vector: u8, code: u32, flags: u64, extended: &ExtendedState) -> bool {
        let exception = Exception {
            vector,
            code,
            address: 0x1000,
        };
        can_be_of_program(&exception, flags, extended)
    }

    #[test]
    fn what_the_processor_did_not_leave_was_made_up() {
        const FLAGS: u64 = 0x202;
        let initial = &INITIAL_EXTENDED_STATE;
        for (vector, needed) in [(vector::DEBUG, 1 << 8), (vector::ALIGNMENT, 1 << 18)] {
            assert!(!can_be(vector, 0, FLAGS, initial));
            assert!(can_be(vector, 0, FLAGS | needed, initial));
        }
        // Each exception of the units, masked and not.
        for flag in 0..6 {
            let mut extended = INITIAL_EXTENDED_STATE;
            extended[24] |= 1 << flag;
            assert!(!can_be(vector::SIMD, 0, FLAGS, &extended));
            let unmasked = 0x1F80u16 & !(1 << (flag + 7)) | 1 << flag;
            extended[24..26].copy_from_slice(&unmasked.to_le_bytes());
            assert!(can_be(vector::SIMD, 0, FLAGS, &extended));
            assert!(!can_be(vector::X87, 0, FLAGS, &extended));
            extended[2] = 1 << 7 | 1 << flag;
            assert!(can_be(vector::X87, 0, FLAGS, &extended));
        }
    }

    #[test]
    fn interrupts_and_faults_at_no_address_are_the_hosts() {
        let initial = &INITIAL_EXTENDED_STATE;
        // INT 0x80, and an interrupt of that number, for which there is no gate.
        assert!(can_be(vector::PROTECTION, 0x80 << 3 | 0b10, 2, initial));
        assert!(!can_be(vector::PROTECTION, 0x80 << 3 | 0b11, 2, initial));
        assert!(can_be(vector::STACK, 0, 2, initial));
        let at = |address| Exception {
            vector: vector::PAGE_FAULT,
            code: 5,
            address,
        };
        assert!(can_be_of_program(&at(0), 2, initial));
        assert!(!can_be_of_program(&at(NO_ADDRESS), 2, initial));
    }

    #[test]
    fn a_program_has_no_other_exceptions() {
        // Among them NMI, overflow and bounds (none in 64-bit mode), double faults, machine checks.
        let all = [0; size_of::<ExtendedState>()].map(|_: u8| 0xFF);
        for vector in [2, 4, 5, 7, 8, 9, 10, 11, 15, 18]
            .into_iter()
            .chain(20..=255)
        {
            assert!(!can_be(vector, 0, u64::MAX, &all), "{vector}");
        }
        for vector in [0, 3, 6] {
            assert!(can_be(vector, 0, 2, &INITIAL_EXTENDED_STATE), "{vector}");
        }
    }
}
