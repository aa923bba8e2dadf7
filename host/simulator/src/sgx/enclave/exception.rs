//! Exceptions, as leaf functions and the code of an enclave raise them.

/// Vectors (SDM volume 3A, 6.3.1).
pub(super) const DEBUG: u8 = 1;
pub(super) const BREAKPOINT: u8 = 3;
pub(super) const INVALID_OPCODE: u8 = 6;
pub(super) const GENERAL_PROTECTION: u8 = 13;
pub(super) const PAGE_FAULT: u8 = 14;

/// Bits of a page fault's error code (SDM volume 3A, 4.7).
pub(super) const FAULT_PRESENT: u32 = 1 << 0;
pub(super) const FAULT_WRITE: u32 = 1 << 1;
pub(super) const FAULT_USER: u32 = 1 << 2;
pub(super) const FAULT_FETCH: u32 = 1 << 4;
/// The EPCM forbids it, not the page tables.
pub(super) const FAULT_SGX: u32 = 1 << 15;

/// An exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub vector: u8,
    pub error_code: u32,
    /// Of a page fault: the address. Otherwise 0.
    pub address: u64,
}

impl Exception {
    pub(super) const fn of(vector: u8) -> Self {
        Self {
            vector,
            error_code: 0,
            address: 0,
        }
    }

    pub(super) const GENERAL_PROTECTION: Self = Self::of(GENERAL_PROTECTION);

    /// A page fault that the EPCM raises.
    pub(super) const fn epcm_fault(address: u64, access: u32) -> Self {
        Self {
            vector: PAGE_FAULT,
            error_code: FAULT_PRESENT | FAULT_USER | FAULT_SGX | access,
            address,
        }
    }

    /// EXITINFO (SDM volume 3D, 38.9.1.1): 0 if the exception is not reported to the
    /// enclave. Page faults and general protection exceptions are reported only if
    /// the enclave has EXINFO.
    pub(super) fn exit_info(self, has_exinfo: bool) -> u32 {
        const VALID: u32 = 1 << 31;
        const HARDWARE: u32 = 3 << 8;
        const SOFTWARE: u32 = 6 << 8;
        match self.vector {
            0 | DEBUG | 5 | INVALID_OPCODE | 16 | 17 | 19 => {
                VALID | HARDWARE | u32::from(self.vector)
            }
            BREAKPOINT => VALID | SOFTWARE | u32::from(BREAKPOINT),
            GENERAL_PROTECTION | PAGE_FAULT if has_exinfo => {
                VALID | HARDWARE | u32::from(self.vector)
            }
            _ => 0,
        }
    }

    /// EXINFO (38.9.2.1): MADDR, ERRCD and four reserved bytes. MADDR of a general
    /// protection exception is 0.
    pub(super) fn exinfo(self) -> Option<[u8; 16]> {
        matches!(self.vector, GENERAL_PROTECTION | PAGE_FAULT).then(|| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&self.address.to_le_bytes());
            bytes[8..12].copy_from_slice(&self.error_code.to_le_bytes());
            bytes
        })
    }
}
