//! The owner's policy, written in TOML.

mod document;
mod explanation;
mod rules;
mod schema;

use std::collections::BTreeMap;

use enarx_owner_evidence::{Digest, SimulatedRoots, Technology, dcap::TcbStatus};
use enarx_wire_launch::Platform;
use serde::Deserialize;

use crate::PolicyError;

pub use rules::TechnologyRules;

/// What an owner demands of a Keep.
///
/// | key | value | without it |
/// |---|---|---|
/// | `name`, `description` | texts for people | empty |
/// | `technologies` | list of `snp`, `sgx`, `tdx`, `cca`, `nitro`, `nvidia` | all |
/// | `platforms` | list of `process`, `sgx`, `kvm`, `snp`, `tdx`, `cvm` | all |
/// | `products` | list of processor products (`Milan`, `Genoa`, `Turin`; for other technologies the technology's name) | any |
/// | `measurements` | list of measurements in hexadecimal, `keep-image` for those computed from the owner's own Keep image, and `reference-values` for those in manifests that the owner has; or `any` | `["keep-image"]` |
/// | `minimum_tcb.snp.` `fmc`, `bootloader`, `tee`, `snp`, `microcode` | lowest security version, 0 to 255, both as endorsed and when the Keep was launched | any |
/// | `minimum_tcb.snp.reported.`, `.committed.`, `.current.`, `.launch.` and the same | lowest security version of that kind alone | any |
/// | `tcb_statuses` | list of Intel's TCB statuses that are accepted | `["UpToDate"]` |
/// | `advisories` | list of Intel's advisories that may apply to the platform | any |
/// | `revocation` | `demand` or `if-available`: must revocation lists have been looked at? | `if-available` |
/// | `maximum_collateral_age` | days since the issue of lists, TCB info and the like | any, while they hold |
/// | `debug` | `deny` or `allow`: may the host look into the Keep? | `deny` |
/// | `maximum_vmpl` | lowest privilege at which the Keep may run, 0 to 3 | 0 |
/// | `machines` | list of processors in hexadecimal | any |
/// | `host_data` | 32 bytes in hexadecimal that the host must have given at launch | any |
/// | `simulation` | `deny` or `allow`: is evidence of a simulator accepted? | `deny` |
/// | `simulation_roots` | list of SHA-384 digests of simulators' root keys | any simulator |
/// | `snp`, `sgx`, `tdx`, `cca`, `nitro`, `nvidia` | [`TechnologyRules`] for evidence of that technology | none |
///
/// Other keys are refused. That the Keep cannot be moved by a migration agent is always
/// demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Name for people.
    pub name: String,
    /// Purpose, for people.
    pub description: String,
    /// Technologies that are accepted.
    pub technologies: Vec<Technology>,
    /// Kinds of Keep that are accepted.
    pub platforms: Vec<Platform>,
    /// Processor products that are accepted; `None` for all.
    pub products: Option<Vec<String>>,
    /// What may have been loaded into the Keep.
    pub measurements: Vec<AcceptedMeasurement>,
    /// Lowest security versions of firmware and microcode.
    pub minimum_tcb: MinimumTcb,
    /// What Intel may say of the platform.
    pub tcb_statuses: Vec<TcbStatus>,
    /// Intel's advisories that may apply to the platform; `None` for any.
    pub advisories: Option<Vec<String>>,
    /// Whether revocation lists must have been looked at.
    pub revocation: Revocation,
    /// Greatest age in days of the collateral; `None` for any while it holds.
    pub maximum_collateral_age: Option<u32>,
    /// Whether the host may look into the Keep.
    pub debug: Permission,
    /// Lowest privilege level (highest number) at which the Keep may run.
    pub maximum_vmpl: u32,
    /// The processors that are accepted, zeros at the end left out or not; `None` for all.
    pub machines: Option<Vec<Vec<u8>>>,
    /// What the host must have put into the evidence at launch; `None` for anything.
    pub host_data: Option<[u8; 32]>,
    /// Whether evidence of a simulator is accepted.
    pub simulation: Permission,
    /// SHA-384 of the `SubjectPublicKeyInfo` of the simulators' roots that are accepted;
    /// `None` for all.
    pub simulation_roots: Option<Vec<Digest>>,
    /// Rules for evidence of one technology.
    pub rules: BTreeMap<Technology, TechnologyRules>,
}

/// One way in which a measurement is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedMeasurement {
    /// It is one of those computed from the Keep image that the owner has.
    KeepImage,
    /// It is one of those in manifests that the owner has; see
    /// [`Policy::with_reference_values`].
    ReferenceValues,
    /// It is this one.
    Value(Vec<u8>),
    /// Whatever it is: for looking at evidence, not for deciding.
    Any,
}

/// Lowest security versions, for each technology that counts them by parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinimumTcb {
    /// AMD SEV-SNP.
    pub snp: MinimumSnpTcbs,
}

/// Lowest security versions on AMD SEV-SNP, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinimumSnpTcbs {
    /// Both of the version that the key is endorsed for, and of that at launch.
    pub every: MinimumSnpTcb,
    /// Of the version that the key is endorsed for (`REPORTED_TCB`).
    pub reported: MinimumSnpTcb,
    /// Of the version that cannot be undercut any more (`COMMITTED_TCB`).
    pub committed: MinimumSnpTcb,
    /// Of the version that runs now (`CURRENT_TCB`).
    pub current: MinimumSnpTcb,
    /// Of the version at launch (`LAUNCH_TCB`).
    pub launch: MinimumSnpTcb,
}

/// Lowest security versions on AMD SEV-SNP; `None` for any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinimumSnpTcb {
    /// Firmware of the microcontroller. Products before Turin have none and are refused
    /// by any minimum.
    pub fmc: Option<u8>,
    /// Boot loader of the secure processor.
    pub bootloader: Option<u8>,
    /// Operating system of the secure processor.
    pub tee: Option<u8>,
    /// SEV-SNP firmware.
    pub snp: Option<u8>,
    /// Microcode. Products count it differently.
    pub microcode: Option<u8>,
}

/// Whether something is permitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// It is not.
    #[default]
    Deny,
    /// It is.
    Allow,
}

/// Whether revocation lists must have been looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revocation {
    /// They must.
    Demand,
    /// Those that there are.
    #[default]
    IfAvailable,
}

impl Policy {
    /// Whether it accepts measurements of manifests.
    #[must_use]
    pub fn uses_reference_values(&self) -> bool {
        self.measurements
            .contains(&AcceptedMeasurement::ReferenceValues)
    }

    /// The same with `reference-values` standing for `values`; as it is, if it does not
    /// name them.
    #[must_use]
    pub fn with_reference_values(mut self, values: &[Vec<u8>]) -> Self {
        if self.uses_reference_values() {
            self.measurements
                .retain(|one| *one != AcceptedMeasurement::ReferenceValues);
            let values = values.iter().cloned().map(AcceptedMeasurement::Value);
            self.measurements.extend(values);
        }
        self
    }

    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// The first thing in `text` that is not as described at [`Policy`], with its line
    /// and column.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        document::read(text)
    }

    /// The simulators' roots to verify evidence with under this policy.
    #[must_use]
    pub fn simulated_roots(&self) -> SimulatedRoots {
        match (self.simulation, &self.simulation_roots) {
            (Permission::Deny, _) => SimulatedRoots::None,
            (Permission::Allow, None) => SimulatedRoots::Any,
            (Permission::Allow, Some(pins)) => SimulatedRoots::Pinned(pins.clone()),
        }
    }
}

/// The policy that an empty file says.
impl Default for Policy {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            technologies: Technology::ALL.to_vec(),
            platforms: Platform::ALL.to_vec(),
            products: None,
            measurements: vec![AcceptedMeasurement::KeepImage],
            minimum_tcb: MinimumTcb::default(),
            tcb_statuses: vec![TcbStatus::UpToDate],
            advisories: None,
            revocation: Revocation::default(),
            maximum_collateral_age: None,
            debug: Permission::Deny,
            maximum_vmpl: 0,
            machines: None,
            host_data: None,
            simulation: Permission::Deny,
            simulation_roots: None,
            rules: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
