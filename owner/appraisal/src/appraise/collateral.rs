//! Checks of what the verdict rests upon.

use enarx_owner_evidence::Summary;

use crate::{Check, Revocation};

use super::{Appraisal, check};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

impl Appraisal<'_> {
    pub(super) fn collateral(&self) -> [Check; 2] {
        [self.revocation(), self.collateral_age()]
    }

    fn revocation(&self) -> Check {
        let (expected, demanded) = match self.policy.revocation {
            Revocation::Demand => ("checked", true),
            Revocation::IfAvailable => ("checked if there is a list", false),
        };
        let passed = self.holds(|summary| summary.revocation_checked || !demanded);
        check("revocation", passed)
            .expected(expected)
            .actual(self.describe(|summary| {
                if summary.revocation_checked {
                    "checked: nothing is revoked"
                } else {
                    "not checked: no list was given"
                }
            }))
            .source("RFC 5280, section 6.3")
            .remedy("give the vendor's revocation lists with the collateral")
    }

    fn collateral_age(&self) -> Check {
        let days = |summary: &Summary| {
            let issued = summary.collateral_issued?;
            Some(self.now.0.saturating_sub(issued.0) / SECONDS_PER_DAY)
        };
        let maximum = self.policy.maximum_collateral_age.map(u64::from);
        let passed = self.holds(|summary| match (maximum, days(summary)) {
            (Some(maximum), Some(days)) => days < maximum,
            _ => true,
        });
        check("collateral age", passed)
            .expected(maximum.map_or("any, while it holds".to_owned(), |days| {
                format!("less than {days} days")
            }))
            .actual(self.describe(|summary| match days(summary) {
                Some(days) => format!("{days} days, holds until {}", summary.validity.not_after),
                None => format!("certificates only, until {}", summary.validity.not_after),
            }))
            .source("policy, key maximum_collateral_age")
            .remedy("fetch fresh collateral")
    }
}
