//! The technologies whose evidence is understood.

use core::{fmt, str::FromStr};

/// A TEE technology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Technology {
    /// AMD SEV-SNP.
    Snp,
    /// Intel SGX.
    Sgx,
    /// Intel TDX.
    Tdx,
    /// Arm Confidential Compute Architecture.
    Cca,
    /// AWS Nitro Enclaves.
    Nitro,
    /// An NVIDIA GPU or switch, which runs beside a TEE and holds none of its own.
    Nvidia,
}

impl Technology {
    /// Every technology.
    pub const ALL: [Self; 6] = [
        Self::Snp,
        Self::Sgx,
        Self::Tdx,
        Self::Cca,
        Self::Nitro,
        Self::Nvidia,
    ];

    /// The name used in policies and results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snp => "snp",
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
            Self::Cca => "cca",
            Self::Nitro => "nitro",
            Self::Nvidia => "nvidia",
        }
    }
}

impl fmt::Display for Technology {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A name that is no technology's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown technology; one of: snp, sgx, tdx, cca, nitro, nvidia")]
pub struct UnknownTechnology;

impl FromStr for Technology {
    type Err = UnknownTechnology;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|technology| technology.as_str() == name)
            .ok_or(UnknownTechnology)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for technology in Technology::ALL {
            assert_eq!(technology.as_str().parse(), Ok(technology));
            assert!(UnknownTechnology.to_string().contains(technology.as_str()));
        }
        assert_eq!("pef".parse::<Technology>(), Err(UnknownTechnology));
    }
}
