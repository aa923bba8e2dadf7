//! The kinds of Keep and the formats of their evidence.

use core::{fmt, str::FromStr};

/// A kind of Keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Platform {
    /// A child process: no isolation from the host.
    Process = 1,
    /// An Intel SGX enclave.
    Sgx = 2,
    /// A virtual machine that the host can read.
    Kvm = 3,
    /// An AMD SEV-SNP virtual machine.
    Snp = 4,
    /// An Intel TDX trust domain.
    Tdx = 5,
    /// The confidential virtual machine that the host itself runs in.
    Cvm = 6,
}

impl Platform {
    /// Every kind of Keep.
    pub const ALL: [Self; 6] = [
        Self::Process,
        Self::Sgx,
        Self::Kvm,
        Self::Snp,
        Self::Tdx,
        Self::Cvm,
    ];

    /// The name used in commands, policies and claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Sgx => "sgx",
            Self::Kvm => "kvm",
            Self::Snp => "snp",
            Self::Tdx => "tdx",
            Self::Cvm => "cvm",
        }
    }

    /// The platform with this code in a launch page.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|platform| *platform as u32 == code)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == name)
            .ok_or(UnknownPlatform)
    }
}

/// A name that is no platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform; one of: process, sgx, kvm, snp, tdx, cvm")]
pub struct UnknownPlatform;

/// The format of a Keep's evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum EvidenceFormat {
    /// An AMD SEV-SNP attestation report, 1184 bytes (AMD #56860).
    SnpReport = 1,
    /// An Intel SGX quote with its PCK certificate chain (Intel SGX ECDSA QuoteGenReference
    /// API, appendix A).
    SgxQuote = 2,
    /// An Intel TDX quote with its PCK certificate chain (Intel TDX DCAP Quoting Library API,
    /// appendix A).
    TdxQuote = 3,
}

impl EvidenceFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::SnpReport, Self::SgxQuote, Self::TdxQuote];

    /// The name used in claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SnpReport => "snp-report",
            Self::SgxQuote => "sgx-quote",
            Self::TdxQuote => "tdx-quote",
        }
    }

    /// Whether evidence has a register for what a Keep was given after it was measured: RTMR3 of
    /// TDX, which tells of the application.
    #[must_use]
    pub const fn has_register(self) -> bool {
        matches!(self, Self::TdxQuote)
    }

    /// The format with this code in a launch page.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| *format as u32 == code)
    }

    /// The format of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_read_back() {
        for platform in Platform::ALL {
            assert_eq!(platform.as_str().parse(), Ok(platform));
            assert_eq!(Platform::from_code(platform as u32), Some(platform));
        }
        assert_eq!("pef".parse::<Platform>(), Err(UnknownPlatform));
        assert_eq!(Platform::from_code(0), None);
        for format in EvidenceFormat::ALL {
            assert_eq!(EvidenceFormat::from_name(format.as_str()), Some(format));
            assert_eq!(EvidenceFormat::from_code(format as u32), Some(format));
        }
        assert_eq!(EvidenceFormat::from_name("epid-quote"), None);
        assert_eq!(EvidenceFormat::from_code(0), None);
    }
}
