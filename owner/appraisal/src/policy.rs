//! The owner's policy, written in TOML.

use enarx_owner_evidence::{Digest, snp::SimulatedRoots};
use enarx_wire_launch::Platform;
use serde::Deserialize;
use toml::Spanned;

use crate::{
    PolicyError,
    value::{self, Texts},
};

/// What an owner demands of a Keep.
///
/// | key | value | without it |
/// |---|---|---|
/// | `name`, `description` | texts for people | empty |
/// | `platforms` | list of `process`, `sgx`, `kvm`, `snp`, `tdx`, `cvm` | all |
/// | `measurements` | list of measurements in hexadecimal, and `keep-image` for those computed from the owner's own Keep image | `["keep-image"]` |
/// | `minimum_tcb.snp.` `fmc`, `bootloader`, `tee`, `snp`, `microcode` | lowest security version, 0 to 255, both as endorsed and when the Keep was launched | any |
/// | `debug` | `deny` or `allow`: may the host look into the Keep? | `deny` |
/// | `maximum_vmpl` | lowest privilege at which the Keep may run, 0 to 3 | 0 |
/// | `chip_ids` | list of processors in hexadecimal | any |
/// | `host_data` | 32 bytes in hexadecimal that the host must have given at launch | any |
/// | `simulation` | `deny` or `allow`: is evidence of a simulator accepted? | `deny` |
/// | `simulation_roots` | list of SHA-384 digests of simulators' root keys | any simulator |
///
/// Other keys are refused. That the Keep cannot be moved by a migration agent is always
/// demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Name for people.
    pub name: String,
    /// Purpose, for people.
    pub description: String,
    /// Kinds of Keep that are accepted.
    pub platforms: Vec<Platform>,
    /// What may have been loaded into the Keep.
    pub measurements: Vec<AcceptedMeasurement>,
    /// Lowest security versions of firmware and microcode.
    pub minimum_tcb: MinimumTcb,
    /// Whether the host may look into the Keep.
    pub debug: Permission,
    /// Lowest privilege level (highest number) at which the Keep may run.
    pub maximum_vmpl: u32,
    /// The processors that are accepted; `None` for all.
    pub chip_ids: Option<Vec<[u8; 64]>>,
    /// What the host must have put into the evidence at launch; `None` for anything.
    pub host_data: Option<[u8; 32]>,
    /// Whether evidence of a simulator is accepted.
    pub simulation: Permission,
    /// SHA-384 of the `SubjectPublicKeyInfo` of the simulators' roots that are accepted;
    /// `None` for all.
    pub simulation_roots: Option<Vec<Digest>>,
}

/// One way in which a measurement is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedMeasurement {
    /// It is one of those computed from the Keep image that the owner has.
    KeepImage,
    /// It is this one.
    Value(Vec<u8>),
}

/// Lowest security versions, for each technology.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinimumTcb {
    /// AMD SEV-SNP.
    pub snp: MinimumSnpTcb,
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

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// The first thing in `text` that is not as described at [`Policy`], with its line
    /// and column.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let document: Document =
            toml::from_str(text).map_err(|error| PolicyError::from_toml(text, &error))?;
        document.read(text)
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

/// The policy as it is written: every key optional, texts not read yet.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    name: String,
    description: String,
    platforms: Option<Texts>,
    measurements: Option<Texts>,
    minimum_tcb: MinimumTcb,
    debug: Permission,
    maximum_vmpl: Option<Spanned<u32>>,
    chip_ids: Option<Texts>,
    host_data: Option<Spanned<String>>,
    simulation: Permission,
    simulation_roots: Option<Texts>,
}

impl Document {
    /// Reads the values, `text` being what the document was parsed from.
    fn read(self, text: &str) -> Result<Policy, PolicyError> {
        if let Some(roots) = &self.simulation_roots
            && self.simulation == Permission::Deny
        {
            let message = "has no effect without simulation = \"allow\"";
            return Err(PolicyError::value(text, roots.span(), message));
        }
        Ok(Policy {
            platforms: match &self.platforms {
                Some(names) => value::list(text, names, value::platform)?,
                None => Platform::ALL.to_vec(),
            },
            measurements: match &self.measurements {
                Some(list) => value::list(text, list, value::measurement)?,
                None => vec![AcceptedMeasurement::KeepImage],
            },
            maximum_vmpl: match &self.maximum_vmpl {
                Some(level) => value::vmpl(text, level)?,
                None => 0,
            },
            chip_ids: match &self.chip_ids {
                Some(list) => Some(value::list(text, list, value::chip_id)?),
                None => None,
            },
            host_data: match &self.host_data {
                Some(data) => Some(value::one(text, data, value::bytes)?),
                None => None,
            },
            simulation_roots: match &self.simulation_roots {
                Some(list) => Some(value::list(text, list, value::bytes)?),
                None => None,
            },
            name: self.name,
            description: self.description,
            minimum_tcb: self.minimum_tcb,
            debug: self.debug,
            simulation: self.simulation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    #[test]
    fn every_key_is_read() {
        let text = format!(
            r#"
                name = "mine"
                description = "What I want."
                platforms = ["snp", "cvm"]
                measurements = ["keep-image", "{measurement}", "{short}"]
                debug = "allow"
                maximum_vmpl = 2
                chip_ids = ["{chip}", "0102030405060708"]
                host_data = "{host}"
                simulation = "allow"
                simulation_roots = ["{root}"]
                [minimum_tcb.snp]
                fmc = 1
                bootloader = 2
                tee = 3
                snp = 4
                microcode = 255
            "#,
            measurement = "aB".repeat(48),
            short = "cd".repeat(32),
            chip = "11".repeat(64),
            host = "22".repeat(32),
            root = "33".repeat(48),
        );
        let mut turin = [0; 64];
        turin[..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            Policy::from_toml(&text),
            Ok(Policy {
                name: "mine".into(),
                description: "What I want.".into(),
                platforms: vec![Platform::Snp, Platform::Cvm],
                measurements: vec![
                    AcceptedMeasurement::KeepImage,
                    AcceptedMeasurement::Value(vec![0xab; 48]),
                    AcceptedMeasurement::Value(vec![0xcd; 32]),
                ],
                minimum_tcb: MinimumTcb {
                    snp: MinimumSnpTcb {
                        fmc: Some(1),
                        bootloader: Some(2),
                        tee: Some(3),
                        snp: Some(4),
                        microcode: Some(255),
                    }
                },
                debug: Permission::Allow,
                maximum_vmpl: 2,
                chip_ids: Some(vec![[0x11; 64], turin]),
                host_data: Some([0x22; 32]),
                simulation: Permission::Allow,
                simulation_roots: Some(vec![[0x33; 48]]),
            })
        );
    }

    #[test]
    fn what_is_not_said_is_denied() {
        let policy = Policy::from_toml("").unwrap();
        assert_eq!(policy.debug, Permission::Deny);
        assert_eq!(policy.simulation, Permission::Deny);
        assert_eq!(policy.maximum_vmpl, 0);
        assert_eq!(policy.measurements, [AcceptedMeasurement::KeepImage]);
        assert_eq!(policy.platforms, Platform::ALL);
        assert!(matches!(policy.simulated_roots(), SimulatedRoots::None));
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_column() {
        for (text, key, line, column) in [
            ("debgu = \"deny\"", "debgu", 1, 1),
            ("# ä\nname = \"x\"\n  Debug = \"deny\"\n", "Debug", 3, 3),
            (
                "[minimum_tcb.snp]\n\n bootlader = 3",
                "minimum_tcb.snp.bootlader",
                3,
                2,
            ),
            ("[minimum_tcb]\nsgx = {}", "minimum_tcb.sgx", 2, 1),
            (
                "minimum_tcb = { snp = { svn = 1 } }",
                "minimum_tcb.snp.svn",
                1,
                25,
            ),
            ("minimum_tcb.snp.ucode = 1", "minimum_tcb.snp.ucode", 1, 17),
        ] {
            let error = Policy::from_toml(text).unwrap_err();
            let PolicyError::UnknownKey {
                position,
                key: named,
                ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(
                (named.as_str(), *position),
                (key, Position { line, column })
            );
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn bad_values_are_named_with_line_and_column() {
        for (text, key, line, column) in [
            ("debug = \"maybe\"", "debug", 1, 9),
            ("debug = true", "debug", 1, 9),
            ("platforms = [\"snp\",\n \"pef\"]", "platforms", 2, 2),
            ("platforms = \"snp\"", "platforms", 1, 13),
            ("platforms = []", "platforms", 1, 13),
            ("measurements = []", "measurements", 1, 16),
            ("measurements = [\"keepimage\"]", "measurements", 1, 17),
            ("measurements = [\"abcd\"]", "measurements", 1, 17),
            ("maximum_vmpl = 4", "maximum_vmpl", 1, 16),
            ("maximum_vmpl = -1", "maximum_vmpl", 1, 16),
            ("chip_ids = [\"00\"]", "chip_ids", 1, 13),
            ("chip_ids = []", "chip_ids", 1, 12),
            ("host_data = \"00\"", "host_data", 1, 13),
            ("[minimum_tcb.snp]\nsnp = 256", "minimum_tcb.snp.snp", 2, 7),
            (
                "simulation = \"allow\"\nsimulation_roots = [\"zz\"]",
                "simulation_roots",
                2,
                21,
            ),
        ] {
            let error = Policy::from_toml(text).unwrap_err();
            let PolicyError::Value {
                position,
                key: named,
                ..
            } = &error
            else {
                panic!("{text}: {error:?}");
            };
            let place = Position { line, column };
            assert_eq!((named.as_str(), *position), (key, place), "{text}");
        }
    }

    #[test]
    fn a_key_without_effect_is_refused() {
        let text = format!("simulation_roots = [\"{}\"]", "00".repeat(48));
        let error = Policy::from_toml(&text).unwrap_err();
        assert!(matches!(&error, PolicyError::Value { key, .. } if key == "simulation_roots"));
    }

    #[test]
    fn what_is_not_toml_has_a_place_too() {
        for (text, line) in [
            ("name = ", 1),
            ("\n\n= 3", 3),
            ("name = \"a\"\nname = \"b\"", 2),
        ] {
            let error = Policy::from_toml(text).unwrap_err();
            let PolicyError::Syntax { position, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(position.line, line, "{text}");
        }
    }
}
