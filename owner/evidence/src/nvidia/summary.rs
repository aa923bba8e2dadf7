//! What a report says, in words common to all technologies.

use aws_lc_rs::digest::{SHA384, digest};

use crate::{Assurance, Flag, Summary, Technology, Value, VerifiedEvidence};

use super::{Part, VerifiedReport};

impl<A: Assurance> From<VerifiedReport<A>> for VerifiedEvidence<A> {
    fn from(verified: VerifiedReport<A>) -> Self {
        Self::new(summary(&verified), verified.steps())
    }
}

fn summary<A: Assurance>(verified: &VerifiedReport<A>) -> Summary {
    let report = verified.report();
    let (anchor, anchor_name) = verified.anchor();
    let values = [
        ("driver_version", &report.driver_version),
        ("vbios_version", &report.vbios_version),
        ("chip", &report.chip),
        ("project", &report.project),
        ("project_sku", &report.project_sku),
        ("fwid", &report.firmware_identity),
    ];
    let values = values.into_iter().filter_map(|(name, bytes)| {
        let bytes = bytes.clone()?;
        Some(Value { name, bytes })
    });
    Summary {
        technology: Technology::Nvidia,
        product: Technology::Nvidia.as_str(),
        // One digest for all, as there is no single measurement.
        measurement: digest(&SHA384, &report.record).as_ref().to_vec(),
        report_data: report.nonce.to_vec(),
        host_data: None,
        debug: false,
        migratable: false,
        privilege_level: None,
        machine: Some(verified.device_key().to_vec()),
        tcb: Vec::new(),
        tcb_status: None,
        advisories: Vec::new(),
        flags: vec![
            Flag {
                name: "driver_compared",
                on: verified.is_compared(Part::Driver),
            },
            Flag {
                name: "vbios_compared",
                on: verified.is_compared(Part::Vbios),
            },
        ],
        numbers: Vec::new(),
        values: values.collect(),
        revocation_checked: false,
        collateral_issued: None,
        anchor: *anchor,
        anchor_name: anchor_name.to_owned(),
        validity: verified.validity(),
    }
}
