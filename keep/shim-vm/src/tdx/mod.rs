//! What the shim decides about TDX, apart from the instructions.

use enarx_keep_shim::Registers;
use enarx_wire_launch::vm::layout;

/// A trust domain, as its TDX module says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// Width in bits of guest physical addresses (`GPAW`), the uppermost of which names shared memory.
    pub width: u32,
    /// `ATTRIBUTES`.
    pub attributes: u64,
}

/// Whether the shim can run in it: shared memory is where its page tables have `shared`, and a page that
/// the host takes away stops the domain, rather than letting it go on with an exception
/// (`SEPT_VE_DISABLE`).
#[must_use]
pub fn is_right(domain: &Domain, shared: u64) -> bool {
    const SEPT_VE_DISABLE: u64 = 1 << 28;
    let named = domain
        .width
        .checked_sub(1)
        .and_then(|bit| 1u64.checked_shl(bit));
    named == Some(shared) && domain.attributes & SEPT_VE_DISABLE != 0
}

/// What an exception of TDX's own was about (#VE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualizationException {
    /// Whether there was one.
    pub known: bool,
    /// Why the processor would have left the machine (Intel SDM volume 3D, appendix C).
    pub reason: u32,
    /// Bytes of the instruction.
    pub length: u32,
}

/// An exception that nothing of the runtime's causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexpected;

impl VirtualizationException {
    /// Its vector.
    pub const VECTOR: u8 = 20;

    /// Serves the runtime's CPUID with zeros.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] if it was anything else, or not the runtime's.
    pub fn serve(&self, registers: &mut Registers) -> Result<(), Unexpected> {
        const CPUID: u32 = 10;
        const CPUID_LENGTH: u32 = 2;
        let is_runtime = (layout::RUNTIME..layout::USER_END).contains(&registers.rip);
        let is_cpuid = (self.known, self.reason, self.length) == (true, CPUID, CPUID_LENGTH);
        if !is_runtime || !is_cpuid {
            return Err(Unexpected);
        }
        *registers = Registers {
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rip: registers.rip + u64::from(CPUID_LENGTH),
            ..*registers
        };
        Ok(())
    }
}

/// What the host has written in front of a quote (GHCI, table "`TDG.VP.VMCALL<GetQuote>` - Layout of the
/// shared buffer").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteHeader {
    /// What came of it.
    pub status: u64,
    /// Bytes that were given, and in the upper half those that there are now.
    pub lengths: u64,
}

impl QuoteHeader {
    /// Its size in bytes.
    pub const SIZE: u64 = 24;
    /// Offset of the status.
    pub const STATUS: u64 = 8;
    /// Offset of both lengths.
    pub const LENGTHS: u64 = 16;
    /// The status of a quote that is not there yet.
    pub const IN_FLIGHT: u64 = u64::MAX;

    /// The header with which one asks for a quote of so many bytes of report: the version, then these
    /// fields.
    #[must_use]
    pub const fn request(report: usize) -> [u64; 3] {
        [1, 0, report as u64]
    }

    /// Bytes of the quote in a buffer of `size` bytes; none if it was not made, or if the host tells
    /// more than fit.
    #[must_use]
    pub fn quote_length(&self, size: u64) -> Option<usize> {
        let length = self.lengths >> 32;
        let fits = length != 0 && length <= size - Self::SIZE;
        (self.status == 0 && fits).then_some(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_right_if_its_module_says_so() {
        let domain = Domain {
            width: 48,
            attributes: 1 << 28,
        };
        assert!(is_right(&domain, 1 << 47));
        assert!(is_right(
            &Domain {
                width: 52,
                ..domain
            },
            1 << 51
        ));
        assert!(!is_right(&domain, 1 << 51));
        assert!(!is_right(&domain, 0));
        for width in [0, 64, u32::MAX] {
            assert!(!is_right(&Domain { width, ..domain }, 0));
        }
        let told_of_pages = Domain {
            attributes: 0,
            ..domain
        };
        assert!(!is_right(&told_of_pages, 1 << 47));
    }

    #[test]
    fn cpuid_of_the_runtime_is_served_and_nothing_else() {
        let at = |rip| Registers {
            rax: 0x4000_0000,
            rbx: 1,
            rcx: 2,
            rdx: 3,
            rsi: 4,
            rip,
            ..Registers::default()
        };
        let cpuid = VirtualizationException {
            known: true,
            reason: 10,
            length: 2,
        };
        let mut registers = at(layout::RUNTIME + 0x1000);
        assert_eq!(cpuid.serve(&mut registers), Ok(()));
        let expected = Registers {
            rsi: 4,
            rip: layout::RUNTIME + 0x1002,
            ..Registers::default()
        };
        assert_eq!(registers, expected);
        let mut shim = at(layout::SHIM);
        assert_eq!(cpuid.serve(&mut shim), Err(Unexpected));
        assert_eq!(shim, at(layout::SHIM));
        // An access to a page that is not there, an instruction of another length, and none at all.
        for wrong in [
            VirtualizationException {
                reason: 48,
                ..cpuid
            },
            VirtualizationException { length: 3, ..cpuid },
            VirtualizationException {
                known: false,
                ..cpuid
            },
        ] {
            assert_eq!(wrong.serve(&mut at(layout::RUNTIME)), Err(Unexpected));
        }
    }

    #[test]
    fn a_quote_is_as_long_as_its_buffer_permits() {
        let length = |status, lengths| QuoteHeader { status, lengths }.quote_length(0x1000);
        assert_eq!(length(0, 1024 | 100 << 32), Some(100));
        assert_eq!(length(0, 0xFE8 << 32), Some(0xFE8));
        assert_eq!(length(0, 0xFE9 << 32), None);
        assert_eq!(length(0, u64::MAX), None);
        assert_eq!(length(0, 1024), None);
        for status in [1, 1 << 63, QuoteHeader::IN_FLIGHT] {
            assert_eq!(length(status, 100 << 32), None);
        }
    }
}
