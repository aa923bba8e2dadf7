//! Checks of firmware and microcode.

use enarx_owner_evidence::{Summary, TcbComponent, Technology};

use crate::{Check, MinimumSnpTcb};

use super::{Appraisal, check};

/// The parts of an SEV-SNP platform, as the evidence names them, with their checks.
const PARTS: [(&str, &str); 5] = [
    ("bootloader", "TCB: bootloader"),
    ("tee", "TCB: tee"),
    ("snp", "TCB: snp"),
    ("microcode", "TCB: microcode"),
    ("fmc", "TCB: fmc"),
];

impl Appraisal<'_> {
    pub(super) fn tcb(&self) -> Vec<Check> {
        match self.technology {
            Technology::Snp => PARTS
                .into_iter()
                .map(|(part, name)| self.part(part, name))
                .collect(),
            Technology::Sgx | Technology::Tdx => vec![self.status(), self.advisories()],
            Technology::Cca | Technology::Nitro | Technology::Nvidia => Vec::new(),
        }
    }

    /// One part must reach every minimum that the policy has for it.
    fn part(&self, part: &str, name: &'static str) -> Check {
        let minimum = &self.policy.minimum_tcb.snp;
        let demands: [Demand; 5] = [
            (&minimum.every, "", |found| {
                found.reported.min(found.at_launch)
            }),
            (&minimum.reported, "reported ", |found| found.reported),
            (&minimum.committed, "committed ", |found| found.committed),
            (&minimum.current, "current ", |found| found.current),
            (&minimum.launch, "launch ", |found| found.at_launch),
        ];
        let demanded: Vec<_> = demands
            .into_iter()
            .filter_map(|(minimum, kind, version)| {
                Some((u64::from(of(minimum, part)?), kind, version))
            })
            .collect();
        let sufficient = |found: Option<&TcbComponent>| {
            demanded
                .iter()
                .all(|(minimum, _, version)| found.is_some_and(|found| *minimum <= version(found)))
        };
        let texts: Vec<_> = demanded
            .iter()
            .map(|(minimum, kind, _)| format!("{kind}at least {minimum}"))
            .collect();
        let expected = if texts.is_empty() {
            "any".to_owned()
        } else {
            texts.join(", ")
        };
        check(name, self.holds(|summary| sufficient(find(summary, part))))
            .expected(expected)
            .actual(self.describe(|summary| match find(summary, part) {
                Some(found) => versions(found),
                None => format!("{} has none", summary.product),
            }))
            .source(self.sources.tcb)
            .remedy("the machine's firmware or microcode is outdated: choose another, or have its operator update it")
    }

    fn status(&self) -> Check {
        let accepted = &self.policy.tcb_statuses;
        let fits = |status: Option<&str>| {
            status.is_some_and(|status| accepted.iter().any(|one| one.as_str() == status))
        };
        let names: Vec<_> = accepted.iter().map(|one| one.as_str()).collect();
        check("TCB status", self.holds(|summary| fits(summary.tcb_status)))
            .expected(names.join(", "))
            .actual(self.describe(|summary| summary.tcb_status.unwrap_or("not judged")))
            .source(self.sources.tcb)
            .remedy("have the machine's operator install the vendor's updates and settings; tcb_statuses accepts others, at the risk that the advisories describe")
    }

    fn advisories(&self) -> Check {
        let accepted = self.policy.advisories.as_deref();
        let fits = |found: &[String]| {
            accepted.is_none_or(|accepted| found.iter().all(|one| accepted.contains(one)))
        };
        let expected = match accepted {
            None => "any".to_owned(),
            Some([]) => "none".to_owned(),
            Some(accepted) => format!("none but {}", accepted.join(", ")),
        };
        check("advisories", self.holds(|summary| fits(&summary.advisories)))
            .expected(expected)
            .actual(self.describe(|summary| match summary.advisories.as_slice() {
                [] => "none".to_owned(),
                found => found.join(", "),
            }))
            .source(self.sources.tcb)
            .remedy("read the vendor's advisories; list those that you can live with in the policy's advisories")
    }
}

/// A minimum, what kind of version it is about, and where that is.
type Demand<'a> = (&'a MinimumSnpTcb, &'static str, fn(&TcbComponent) -> u64);

fn of(minimum: &MinimumSnpTcb, part: &str) -> Option<u8> {
    match part {
        "fmc" => minimum.fmc,
        "bootloader" => minimum.bootloader,
        "tee" => minimum.tee,
        "snp" => minimum.snp,
        "microcode" => minimum.microcode,
        _ => None,
    }
}

fn find<'a>(summary: &'a Summary, part: &str) -> Option<&'a TcbComponent> {
    summary.tcb.iter().find(|one| one.name == part)
}

/// All versions, those that are the reported one left out.
fn versions(found: &TcbComponent) -> String {
    let mut text = found.reported.to_string();
    for (kind, version) in [
        ("committed", found.committed),
        ("current", found.current),
        ("at launch", found.at_launch),
    ] {
        if version != found.reported {
            text.push_str(&format!(", {kind} {version}"));
        }
    }
    text
}
