//! The fields of a report that are made of bits.

use core::fmt;

use super::ReportError;

/// `POLICY`: what the guest's owner allows and demands (AMD #56860, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuestPolicy(u64);

impl GuestPolicy {
    const ALWAYS_ONE: u64 = 1 << 17;
    const DEFINED: u64 = (1 << 26) - 1;

    /// Reads the field, `offset` being where it stands in the report.
    pub(super) fn parse(bits: u64, offset: usize) -> Result<Self, ReportError> {
        if bits & !Self::DEFINED != 0 || bits & Self::ALWAYS_ONE == 0 {
            return Err(ReportError::Reserved { offset });
        }
        Ok(Self(bits))
    }

    /// All 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Lowest firmware interface version on which the guest may run: (major, minor).
    #[must_use]
    pub const fn minimum_abi(self) -> (u8, u8) {
        ((self.0 >> 8) as u8, self.0 as u8)
    }

    /// Bit 16: simultaneous multithreading is allowed.
    #[must_use]
    pub const fn smt_allowed(self) -> bool {
        self.bit(16)
    }

    /// Bit 18: association with a migration agent is allowed.
    #[must_use]
    pub const fn migration_agent_allowed(self) -> bool {
        self.bit(18)
    }

    /// Bit 19: debugging, which lets the host read and change the guest's memory, is
    /// allowed.
    #[must_use]
    pub const fn debug_allowed(self) -> bool {
        self.bit(19)
    }

    /// Bit 20: the guest may be activated on one socket only.
    #[must_use]
    pub const fn single_socket(self) -> bool {
        self.bit(20)
    }

    /// Bit 21: CXL memory and devices are allowed.
    #[must_use]
    pub const fn cxl_allowed(self) -> bool {
        self.bit(21)
    }

    /// Bit 22: memory must be encrypted with AES-256-XTS.
    #[must_use]
    pub const fn aes_256_xts_required(self) -> bool {
        self.bit(22)
    }

    /// Bit 23: running average power limit readings must be disabled.
    #[must_use]
    pub const fn rapl_disabled_required(self) -> bool {
        self.bit(23)
    }

    /// Bit 24: the host must not be able to read ciphertext in DRAM.
    #[must_use]
    pub const fn ciphertext_hiding_required(self) -> bool {
        self.bit(24)
    }

    /// Bit 25: the commands that move and swap guest pages are disabled.
    #[must_use]
    pub const fn page_swap_disabled(self) -> bool {
        self.bit(25)
    }

    const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// `PLATFORM_INFO`: how the machine is configured (AMD #56860, section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlatformInfo(u64);

impl PlatformInfo {
    const DEFINED: u64 = 0xff;

    /// Reads the field, `offset` being where it stands in the report.
    pub(super) fn parse(bits: u64, offset: usize) -> Result<Self, ReportError> {
        if bits & !Self::DEFINED != 0 {
            return Err(ReportError::Reserved { offset });
        }
        Ok(Self(bits))
    }

    /// All 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Bit 0: simultaneous multithreading is enabled.
    #[must_use]
    pub const fn smt_enabled(self) -> bool {
        self.bit(0)
    }

    /// Bit 1: transparent memory encryption is enabled.
    #[must_use]
    pub const fn tsme_enabled(self) -> bool {
        self.bit(1)
    }

    /// Bit 2: memory has error correction.
    #[must_use]
    pub const fn ecc_enabled(self) -> bool {
        self.bit(2)
    }

    /// Bit 3: running average power limit readings are disabled.
    #[must_use]
    pub const fn rapl_disabled(self) -> bool {
        self.bit(3)
    }

    /// Bit 4: the host cannot read ciphertext in DRAM.
    #[must_use]
    pub const fn ciphertext_hiding_enabled(self) -> bool {
        self.bit(4)
    }

    /// Bit 5: memory was checked for aliased addresses since the last reset.
    #[must_use]
    pub const fn alias_check_complete(self) -> bool {
        self.bit(5)
    }

    /// Bit 6: writes by devices through the IOMMU are safe.
    #[must_use]
    pub const fn iommu_write_safe(self) -> bool {
        self.bit(6)
    }

    /// Bit 7: trusted I/O is enabled.
    #[must_use]
    pub const fn tio_enabled(self) -> bool {
        self.bit(7)
    }

    const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// Which key signed a report (`SIGNING_KEY`, AMD #56860, section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningKey {
    /// The versioned chip endorsement key.
    Vcek,
    /// The versioned loaded endorsement key.
    Vlek,
    /// No key: the report is not signed.
    None,
}

impl SigningKey {
    /// Reads the three bits.
    pub(super) fn parse(bits: u8) -> Result<Self, ReportError> {
        match bits {
            0 => Ok(Self::Vcek),
            1 => Ok(Self::Vlek),
            7 => Ok(Self::None),
            other => Err(ReportError::SigningKey(other)),
        }
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
            Self::None => "no key",
        })
    }
}

/// A version of the SEV-SNP firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FirmwareVersion {
    /// Major number of the interface version.
    pub major: u8,
    /// Minor number of the interface version.
    pub minor: u8,
    /// Build number.
    pub build: u8,
}

impl fmt::Display for FirmwareVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.build)
    }
}
