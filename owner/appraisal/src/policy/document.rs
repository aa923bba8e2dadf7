//! The policy as it is written.

use std::collections::BTreeMap;

use enarx_owner_evidence::Technology;
use enarx_wire_launch::Platform;
use serde::Deserialize;
use toml::Spanned;

use crate::{
    AcceptedMeasurement, MinimumSnpTcb, Permission, Policy, PolicyError, Revocation,
    value::{self, Texts},
};

use super::{MinimumSnpTcbs, MinimumTcb, TechnologyRules};

/// Reads a policy.
pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let document: Document =
        toml::from_str(text).map_err(|error| PolicyError::from_toml(text, &error))?;
    document.read(text)
}

/// Every key optional, texts not read yet.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    name: String,
    description: String,
    technologies: Option<Texts>,
    platforms: Option<Texts>,
    products: Option<Texts>,
    measurements: Option<Texts>,
    minimum_tcb: MinimumTcbDocument,
    tcb_statuses: Option<Texts>,
    advisories: Option<Vec<String>>,
    revocation: Revocation,
    maximum_collateral_age: Option<u32>,
    debug: Permission,
    maximum_vmpl: Option<Spanned<u32>>,
    machines: Option<Texts>,
    host_data: Option<Spanned<String>>,
    simulation: Permission,
    simulation_roots: Option<Texts>,
    snp: Rules,
    sgx: Rules,
    tdx: Rules,
    cca: Rules,
    nitro: Rules,
    nvidia: Rules,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MinimumTcbDocument {
    snp: MinimumSnpDocument,
}

/// [`MinimumSnpTcb`] with tables for the kinds of version beside its keys.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MinimumSnpDocument {
    fmc: Option<u8>,
    bootloader: Option<u8>,
    tee: Option<u8>,
    snp: Option<u8>,
    microcode: Option<u8>,
    reported: MinimumSnpTcb,
    committed: MinimumSnpTcb,
    current: MinimumSnpTcb,
    launch: MinimumSnpTcb,
}

/// [`TechnologyRules`] with names that may not exist.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    required_flags: Vec<Spanned<String>>,
    forbidden_flags: Vec<Spanned<String>>,
    minimum: BTreeMap<Spanned<String>, u64>,
    numbers: BTreeMap<Spanned<String>, Spanned<Vec<u64>>>,
    values: BTreeMap<Spanned<String>, Texts>,
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
        let mut rules = BTreeMap::new();
        for (technology, written) in [
            (Technology::Snp, &self.snp),
            (Technology::Sgx, &self.sgx),
            (Technology::Tdx, &self.tdx),
            (Technology::Cca, &self.cca),
            (Technology::Nitro, &self.nitro),
            (Technology::Nvidia, &self.nvidia),
        ] {
            let read = written.read(text, technology)?;
            if read != TechnologyRules::default() {
                rules.insert(technology, read);
            }
        }
        let nothing_said = Policy::default();
        Ok(Policy {
            technologies: match &self.technologies {
                Some(names) => value::list(text, names, value::technology)?,
                None => nothing_said.technologies,
            },
            platforms: match &self.platforms {
                Some(names) => value::list(text, names, value::platform)?,
                None => Platform::ALL.to_vec(),
            },
            products: match &self.products {
                Some(names) => Some(value::list(text, names, value::product)?),
                None => None,
            },
            measurements: match &self.measurements {
                Some(list) => value::list(text, list, value::measurement)?,
                None => vec![AcceptedMeasurement::KeepImage],
            },
            tcb_statuses: match &self.tcb_statuses {
                Some(list) => value::list(text, list, value::tcb_status)?,
                None => nothing_said.tcb_statuses,
            },
            maximum_vmpl: match &self.maximum_vmpl {
                Some(level) => value::vmpl(text, level)?,
                None => 0,
            },
            machines: match &self.machines {
                Some(list) => Some(value::list(text, list, value::machine)?),
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
            minimum_tcb: self.minimum_tcb.read(),
            advisories: self.advisories,
            revocation: self.revocation,
            maximum_collateral_age: self.maximum_collateral_age,
            debug: self.debug,
            simulation: self.simulation,
            rules,
        })
    }
}

impl MinimumTcbDocument {
    fn read(&self) -> MinimumTcb {
        let MinimumSnpDocument {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
            reported,
            committed,
            current,
            launch,
        } = self.snp;
        MinimumTcb {
            snp: MinimumSnpTcbs {
                every: MinimumSnpTcb {
                    fmc,
                    bootloader,
                    tee,
                    snp,
                    microcode,
                },
                reported,
                committed,
                current,
                launch,
            },
        }
    }
}

impl Rules {
    fn read(&self, text: &str, technology: Technology) -> Result<TechnologyRules, PolicyError> {
        let names = technology.names();
        let known = |name: &Spanned<String>, names: &[&'static str]| {
            let mut known = names.iter();
            let found = known.find(|known| **known == name.get_ref().as_str());
            found.copied().ok_or_else(|| {
                let message = format!(
                    "{technology} has no such name; one of: {}",
                    names.join(", ")
                );
                PolicyError::value(text, name.span(), &message)
            })
        };
        let flags = |list: &[Spanned<String>]| {
            let flags = list.iter().map(|name| known(name, names.flags));
            flags.collect::<Result<Vec<_>, _>>()
        };
        let required_flags = flags(&self.required_flags)?;
        let forbidden_flags = flags(&self.forbidden_flags)?;
        let contradiction = self
            .forbidden_flags
            .iter()
            .find(|name| required_flags.contains(&name.get_ref().as_str()));
        if let Some(name) = contradiction {
            let message = "is both required and forbidden, which refuses everything";
            return Err(PolicyError::value(text, name.span(), message));
        }
        let minimum = self.minimum.iter();
        let minimum = minimum.map(|(name, minimum)| Ok((known(name, names.numbers)?, *minimum)));
        let numbers = self.numbers.iter().map(|(name, accepted)| {
            let name = known(name, names.numbers)?;
            match accepted.get_ref().as_slice() {
                [] => Err(value::empty_list(text, accepted.span())),
                numbers => Ok((name, numbers.to_vec())),
            }
        });
        let values = self.values.iter().map(|(name, accepted)| {
            let name = known(name, names.values)?;
            Ok((name, value::list(text, accepted, value::any_bytes)?))
        });
        Ok(TechnologyRules {
            required_flags,
            forbidden_flags,
            minimum: minimum.collect::<Result<_, PolicyError>>()?,
            numbers: numbers.collect::<Result<_, PolicyError>>()?,
            values: values.collect::<Result<_, PolicyError>>()?,
        })
    }
}
