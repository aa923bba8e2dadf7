//! What a document says, in words common to all technologies.

use crate::{Assurance, Summary, Technology, Value, VerifiedEvidence};

use super::VerifiedDocument;

impl<A: Assurance> From<VerifiedDocument<A>> for VerifiedEvidence<A> {
    fn from(verified: VerifiedDocument<A>) -> Self {
        Self::new(summary(&verified), verified.steps())
    }
}

fn summary<A: Assurance>(verified: &VerifiedDocument<A>) -> Summary {
    let document = verified.document();
    let image = document.pcrs.get(&0).cloned().unwrap_or_default();
    let (anchor, anchor_name) = verified.anchor();
    let names = Technology::Nitro.names().values;
    let pcrs = names.iter().zip(0u8..).filter_map(|(name, number)| {
        let bytes = document.pcrs.get(&number)?;
        (*name == format!("pcr{number}")).then(|| Value {
            name,
            bytes: bytes.clone(),
        })
    });
    let given = [
        ("user_data", &document.user_data),
        ("nonce", &document.nonce),
    ];
    let given = given.into_iter().filter_map(|(name, bytes)| {
        let bytes = bytes.clone()?;
        Some(Value { name, bytes })
    });
    Summary {
        technology: Technology::Nitro,
        product: Technology::Nitro.as_str(),
        // An enclave in debug mode has registers of zeros.
        debug: image.iter().all(|byte| *byte == 0),
        measurement: image,
        report_data: document.nonce.clone().unwrap_or_default(),
        host_data: None,
        migratable: false,
        privilege_level: None,
        machine: None,
        tcb: Vec::new(),
        tcb_status: None,
        advisories: Vec::new(),
        flags: Vec::new(),
        numbers: Vec::new(),
        values: pcrs.chain(given).collect(),
        revocation_checked: false,
        collateral_issued: None,
        anchor: *anchor,
        anchor_name: anchor_name.to_owned(),
        validity: verified.validity(),
    }
}
