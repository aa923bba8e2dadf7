//! Checks of what evidence of every technology says.

use enarx_owner_evidence::{AnchorKind, Evidence, Summary, Technology};

use crate::{AcceptedMeasurement, Check, Permission};

use super::{Appraisal, check, list, on_or_off, told};

impl Appraisal<'_> {
    pub(super) fn signature(&self) -> Check {
        let (actual, passed) = match self.evidence {
            Ok(evidence) => (verified(evidence.summary()), true),
            Err(error) => (error.to_string(), false),
        };
        check("evidence", passed)
            .expected("signed by an endorsed key, and unchanged")
            .actual(actual)
            .source(self.sources.signature)
            .remedy("ask the host for fresh evidence and certificates; if it cannot give them, do not trust it")
    }

    pub(super) fn anchor(&self) -> Check {
        let expected = match (self.policy.simulation, &self.policy.simulation_roots) {
            (Permission::Deny, _) => "genuine".to_owned(),
            (Permission::Allow, None) => "genuine or simulated".to_owned(),
            (Permission::Allow, Some(pins)) => {
                format!("genuine, or simulated under {}", list(pins))
            }
        };
        let allowed = |evidence: &Evidence| match (evidence.kind(), self.policy.simulation) {
            (AnchorKind::Genuine, _) => true,
            (AnchorKind::Simulated, Permission::Deny) => false,
            (AnchorKind::Simulated, Permission::Allow) => self
                .policy
                .simulation_roots
                .as_ref()
                .is_none_or(|pins| pins.contains(&evidence.summary().anchor)),
        };
        let evidence = self.evidence.ok();
        check("trust anchor", evidence.is_some_and(allowed))
            .expected(expected)
            .actual(self.describe(|summary| {
                let kind = evidence.map_or("", |evidence| evidence.kind().as_str());
                let digest = hex::encode(summary.anchor);
                format!("{kind}, {}, key {digest}", summary.anchor_name)
            }))
            .source(self.sources.anchor)
            .remedy("deploy to real hardware; for a trial, a policy with simulation = \"allow\" accepts a simulator")
    }

    pub(super) fn report_data(&self) -> Option<Check> {
        let expected = self.report_data?;
        let passed = self.holds(|summary| summary.carries(expected));
        Some(
            check("report data", passed)
                .expected(hex::encode(expected))
                .actual(self.describe(|summary| hex::encode(&summary.report_data)))
                .source(self.sources.report_data)
                .remedy("the evidence is not for these claims or this nonce: someone replayed it, or changed them on the way"),
        )
    }

    pub(super) fn technology_allowed(&self) -> Check {
        let names: Vec<_> = self
            .policy
            .technologies
            .iter()
            .map(|one| one.as_str())
            .collect();
        let passed = self.policy.technologies.contains(&self.technology);
        check("technology", passed)
            .expected(names.join(", "))
            .actual(self.technology.as_str())
            .source("policy, key technologies")
            .remedy("use hardware that the policy allows, or add the technology to the policy")
    }

    pub(super) fn measurement(&self) -> Check {
        let kind = self.evidence.map_or(AnchorKind::Genuine, Evidence::kind);
        let accepted = |measurement: &[u8]| {
            self.policy.measurements.iter().any(|one| match one {
                AcceptedMeasurement::KeepImage => self.reference.contains(kind, measurement),
                AcceptedMeasurement::ReferenceValues => false,
                AcceptedMeasurement::Value(value) => value == measurement,
                AcceptedMeasurement::Any => true,
            })
        };
        let expected = self.policy.measurements.iter().map(|one| match one {
            AcceptedMeasurement::Value(value) => hex::encode(value),
            AcceptedMeasurement::Any => "any".to_owned(),
            AcceptedMeasurement::ReferenceValues => "reference-values (none were given)".to_owned(),
            AcceptedMeasurement::KeepImage => match &self.reference.of_kind(kind)[..] {
                [] => "keep-image (no value can be computed for this platform)".to_owned(),
                values => format!("keep-image {}", list(values)),
            },
        });
        let expected: Vec<_> = expected.collect();
        check("measurement", self.holds(|summary| accepted(&summary.measurement)))
            .expected(expected.join(", "))
            .actual(self.describe(|summary| hex::encode(&summary.measurement)))
            .source(self.sources.measurement)
            .remedy("the host runs another Keep image or memory size: use the same version on both sides, or list the measurement in the policy")
    }

    pub(super) fn debug(&self) -> Check {
        let (expected, allowed) = match self.policy.debug {
            Permission::Deny => ("off", false),
            Permission::Allow => ("off or on", true),
        };
        check("debug", self.holds(|summary| allowed || !summary.debug))
            .expected(expected)
            .actual(self.describe(|summary| on_or_off(summary.debug)))
            .source(self.sources.debug)
            .remedy("the host can read this Keep's memory: start it without debugging")
    }

    pub(super) fn migration_agent(&self) -> Check {
        check("migration agent", self.holds(|summary| !summary.migratable))
            .expected("off")
            .actual(self.describe(|summary| on_or_off(summary.migratable)))
            .source(self.sources.migration_agent)
            .remedy("the host can move this Keep to another machine: start it without a migration agent")
    }

    pub(super) fn product(&self) -> Check {
        let allowed = |product: &str| match &self.policy.products {
            Some(products) => products.iter().any(|one| one == product),
            None => true,
        };
        let expected = self
            .policy
            .products
            .as_ref()
            .map(|products| products.join(", "));
        check("product", self.holds(|summary| allowed(summary.product)))
            .expected(expected.unwrap_or("any".to_owned()))
            .actual(self.describe(|summary| summary.product))
            .source(self.sources.product)
            .remedy("the policy does not trust this generation of processors: choose a machine with another, or list it in products")
    }

    pub(super) fn privilege(&self) -> Option<Check> {
        if self.technology != Technology::Snp {
            return None;
        }
        let maximum = self.policy.maximum_vmpl;
        let within = |level: Option<u32>| level.is_some_and(|level| level <= maximum);
        Some(
            check("privilege level", self.holds(|summary| within(summary.privilege_level)))
            .expected(format!("at most {maximum}"))
            .actual(self.describe(|summary| match summary.privilege_level {
                Some(level) => level.to_string(),
                None => "not told".to_owned(),
            }))
            .source(self.sources.privilege)
            .remedy("something more privileged than the Keep runs beside it: raise maximum_vmpl only if its measurement covers that too"),
        )
    }

    pub(super) fn machine(&self) -> Check {
        let allowed = |machine: Option<&[u8]>| match (&self.policy.machines, machine) {
            (None, _) => true,
            (Some(allowed), Some(machine)) => allowed.iter().any(|one| is_padded(machine, one)),
            (Some(_), None) => false,
        };
        let passed = self.holds(|summary| allowed(summary.machine.as_deref()));
        let expected = self.policy.machines.as_deref().map(list);
        check("machine", passed)
            .expected(expected.unwrap_or("any".to_owned()))
            .actual(self.describe(|summary| told(summary.machine.as_deref())))
            .source(self.sources.machine)
            .remedy(
                "deploy to one of the machines that the policy lists, or add this one to machines",
            )
    }

    pub(super) fn host_data(&self) -> Check {
        let wanted = self.policy.host_data.as_ref();
        let matches = |found: Option<&[u8]>| {
            wanted.is_none_or(|wanted| found.is_some_and(|found| is_padded(found, wanted)))
        };
        check("host data", self.holds(|summary| matches(summary.host_data.as_deref())))
            .expected(wanted.map_or("any".to_owned(), hex::encode))
            .actual(self.describe(|summary| told(summary.host_data.as_deref())))
            .source(self.sources.host_data)
            .remedy("the host launched the Keep with other host data: have it started with the value in the policy")
    }
}

/// Whether `field` is `value` with nothing but zeros behind it.
fn is_padded(field: &[u8], value: &[u8]) -> bool {
    let rest = field.strip_prefix(value);
    rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn verified(summary: &Summary) -> String {
    format!(
        "verified: {} under {}",
        summary.product, summary.anchor_name
    )
}
