//! Policies that come with the program.

use core::{fmt, str::FromStr};
use std::collections::BTreeMap;

use enarx_owner_evidence::{Technology, dcap::TcbStatus};
use enarx_wire_launch::Platform;

use crate::{AcceptedMeasurement, Permission, Policy, Revocation, TechnologyRules};

/// A policy that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Genuine evidence, nothing that the vendor has doubts about, revocation checked.
    Strict,
    /// Genuine evidence only.
    Standard,
    /// Simulated evidence too.
    Simulation,
    /// Genuine evidence of whatever runs inside: to look at evidence, not to deploy.
    Evidence,
}

/// The products that the built-in policies trust. Milan is not among them: the seed from
/// which its chips derive their signing keys has been extracted in software, so whoever
/// has one such chip can sign any report for it.
const TRUSTED_PRODUCTS: [&str; 5] = ["Genoa", "Turin", "sgx", "tdx", "cca"];

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Strict,
        Self::Standard,
        Self::Simulation,
        Self::Evidence,
    ];

    /// The name used in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Simulation => "simulation",
            Self::Evidence => "evidence",
        }
    }

    /// The policy as a TOML text with comments, to start one's own from.
    #[must_use]
    pub const fn toml(self) -> &'static str {
        match self {
            Self::Strict => include_str!("../profiles/strict.toml"),
            Self::Standard => include_str!("../profiles/standard.toml"),
            Self::Simulation => include_str!("../profiles/simulation.toml"),
            Self::Evidence => include_str!("../profiles/evidence.toml"),
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        let genuine = Policy {
            name: self.as_str().to_owned(),
            technologies: vec![
                Technology::Snp,
                Technology::Sgx,
                Technology::Tdx,
                Technology::Cca,
            ],
            platforms: vec![Platform::Sgx, Platform::Snp, Platform::Tdx, Platform::Cvm],
            products: Some(TRUSTED_PRODUCTS.map(str::to_owned).to_vec()),
            ..Policy::default()
        };
        match self {
            Self::Strict => Policy {
                description: "Genuine, current hardware with nothing known against it, running \
                              the owner's own Keep image."
                    .to_owned(),
                advisories: Some(Vec::new()),
                revocation: Revocation::Demand,
                maximum_collateral_age: Some(30),
                rules: strict_rules(),
                ..genuine
            },
            Self::Standard => Policy {
                description: "Genuine hardware running the owner's own Keep image, without \
                              debugging. Not AMD Milan."
                    .to_owned(),
                tcb_statuses: vec![TcbStatus::UpToDate, TcbStatus::SwHardeningNeeded],
                ..genuine
            },
            Self::Simulation => Policy {
                name: self.as_str().to_owned(),
                description: "The owner's own Keep image, on simulated hardware too. Protects \
                              nothing there."
                    .to_owned(),
                simulation: Permission::Allow,
                ..Policy::default()
            },
            Self::Evidence => Policy {
                name: self.as_str().to_owned(),
                description: "Genuine evidence without debugging, of whatever runs inside. Not \
                              for deploying."
                    .to_owned(),
                measurements: vec![AcceptedMeasurement::Any],
                tcb_statuses: vec![TcbStatus::UpToDate, TcbStatus::SwHardeningNeeded],
                maximum_vmpl: 3,
                ..Policy::default()
            },
        }
    }
}

/// What machines and TEEs can be set up to do, and need not be.
fn strict_rules() -> BTreeMap<Technology, TechnologyRules> {
    let snp = TechnologyRules {
        forbidden_flags: vec!["smt_allowed", "cxl_allowed"],
        required_flags: vec!["alias_check_complete"],
        ..TechnologyRules::default()
    };
    let sgx = TechnologyRules {
        forbidden_flags: vec!["provision_key", "einittoken_key"],
        ..TechnologyRules::default()
    };
    let tdx = TechnologyRules {
        required_flags: vec!["sept_ve_disable"],
        forbidden_flags: vec!["perfmon"],
        ..TechnologyRules::default()
    };
    BTreeMap::from([
        (Technology::Snp, snp),
        (Technology::Sgx, sgx),
        (Technology::Tdx, tdx),
    ])
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
#[error("unknown policy profile; one of: strict, standard, simulation, evidence")]
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
