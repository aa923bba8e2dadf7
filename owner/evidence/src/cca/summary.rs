//! What a token says, in words common to all technologies.

use crate::{
    Assurance, Flag, Number, Summary, Technology, UnixTime, Validity, Value, VerifiedEvidence,
};

use super::VerifiedToken;

impl<A: Assurance> From<VerifiedToken<A>> for VerifiedEvidence<A> {
    fn from(token: VerifiedToken<A>) -> Self {
        Self::new(summary(&token), token.steps())
    }
}

fn summary<A: Assurance>(token: &VerifiedToken<A>) -> Summary {
    let (platform, realm) = (token.platform(), token.realm());
    let value = |name, bytes: &Vec<u8>| Value {
        name,
        bytes: bytes.clone(),
    };
    let rems = ["rem0", "rem1", "rem2", "rem3"];
    let rems = rems.into_iter().zip(&realm.extensible_measurements);
    let mut values = vec![
        value("implementation_id", &platform.implementation_id),
        value("instance_id", &platform.instance_id),
        value("platform_config", &platform.config),
        value("personalization_value", &realm.personalization_value),
    ];
    values.extend(rems.map(|(name, rem)| value(name, rem)));
    Summary {
        technology: Technology::Cca,
        product: Technology::Cca.as_str(),
        measurement: realm.initial_measurement.clone(),
        report_data: realm.challenge.clone(),
        host_data: Some(realm.personalization_value.clone()),
        debug: platform.lifecycle.is_debug(),
        migratable: false,
        privilege_level: None,
        machine: Some(platform.instance_id.clone()),
        tcb: Vec::new(),
        tcb_status: None,
        advisories: Vec::new(),
        flags: vec![Flag {
            name: "secured",
            on: platform.lifecycle.is_secured(),
        }],
        numbers: vec![Number {
            name: "lifecycle",
            value: platform.lifecycle.0.into(),
        }],
        values,
        revocation_checked: false,
        collateral_issued: None,
        anchor: token.anchor(),
        anchor_name: "CCA platform attestation key".to_owned(),
        // A key that was named by hand holds as long as it is named.
        validity: Validity {
            not_before: UnixTime(0),
            not_after: UnixTime(u64::MAX),
        },
    }
}
