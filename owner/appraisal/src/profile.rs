//! Policies that come with the program.

use core::{fmt, str::FromStr};

use enarx_wire_launch::Platform;

use crate::{AcceptedMeasurement, MinimumTcb, Permission, Policy};

/// A policy that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Genuine evidence only.
    Standard,
    /// Simulated evidence too.
    Simulation,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Simulation];

    /// The name used in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Simulation => "simulation",
        }
    }

    /// The policy as a TOML text with comments, to start one's own from.
    #[must_use]
    pub const fn toml(self) -> &'static str {
        match self {
            Self::Standard => include_str!("../profiles/standard.toml"),
            Self::Simulation => include_str!("../profiles/simulation.toml"),
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        let (description, platforms, simulation) = match self {
            Self::Standard => (
                "Genuine hardware running the owner's own Keep image, without debugging.",
                vec![Platform::Sgx, Platform::Snp, Platform::Tdx, Platform::Cvm],
                Permission::Deny,
            ),
            Self::Simulation => (
                "The owner's own Keep image, on simulated hardware too. Protects nothing there.",
                Platform::ALL.to_vec(),
                Permission::Allow,
            ),
        };
        Policy {
            name: self.as_str().to_owned(),
            description: description.to_owned(),
            platforms,
            measurements: vec![AcceptedMeasurement::KeepImage],
            minimum_tcb: MinimumTcb::default(),
            debug: Permission::Deny,
            maximum_vmpl: 0,
            chip_ids: None,
            host_data: None,
            simulation,
            simulation_roots: None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == name)
            .ok_or(UnknownProfile)
    }
}

/// A name that is no profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy profile; one of: standard, simulation")]
pub struct UnknownProfile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_say_what_the_policies_do() {
        for profile in Profile::ALL {
            assert_eq!(Policy::from_toml(profile.toml()), Ok(profile.policy()));
            assert_eq!(profile.as_str().parse(), Ok(profile));
        }
        assert_eq!("lax".parse::<Profile>(), Err(UnknownProfile));
    }

    #[test]
    fn only_the_simulation_profile_allows_simulation() {
        assert_eq!(Profile::Standard.policy().simulation, Permission::Deny);
        assert_eq!(Profile::Simulation.policy().simulation, Permission::Allow);
    }
}
