//! Checks of what only one technology has.

use enarx_owner_evidence::Summary;

use crate::{Check, policy::TechnologyRules};

use super::{Appraisal, check, list, on_or_off};

impl Appraisal<'_> {
    /// One check for each rule that the policy has for the evidence's technology.
    pub(super) fn particulars(&self) -> Vec<Check> {
        let Some(rules) = self.policy.rules.get(&self.technology) else {
            return Vec::new();
        };
        let TechnologyRules {
            required_flags,
            forbidden_flags,
            minimum,
            numbers,
            values,
        } = rules;
        let required = required_flags.iter().map(|name| self.flag(name, true));
        let forbidden = forbidden_flags.iter().map(|name| self.flag(name, false));
        let minimum = minimum
            .iter()
            .map(|(name, minimum)| self.minimum(name, *minimum));
        let numbers = numbers
            .iter()
            .map(|(name, accepted)| self.number(name, accepted));
        let values = values
            .iter()
            .map(|(name, accepted)| self.value(name, accepted));
        required
            .chain(forbidden)
            .chain(minimum)
            .chain(numbers)
            .chain(values)
            .collect()
    }

    fn flag(&self, name: &str, wanted: bool) -> Check {
        let find = |summary: &Summary| {
            let mut flags = summary.flags.iter();
            flags.find(|flag| flag.name == name).map(|flag| flag.on)
        };
        self.particular(name, self.holds(|summary| find(summary) == Some(wanted)))
            .expected(on_or_off(wanted))
            .actual(self.describe(|summary| find(summary).map_or("not told", on_or_off)))
            .remedy("have the TEE launched, or its machine configured, as the policy demands")
    }

    fn minimum(&self, name: &str, minimum: u64) -> Check {
        let passed =
            self.holds(|summary| number(summary, name).is_some_and(|found| minimum <= found));
        self.particular(name, passed)
            .expected(format!("at least {minimum}"))
            .actual(self.describe(|summary| describe(number(summary, name))))
            .remedy("use a newer version of what this number counts, or lower the minimum")
    }

    fn number(&self, name: &str, accepted: &[u64]) -> Check {
        let passed = self
            .holds(|summary| number(summary, name).is_some_and(|found| accepted.contains(&found)));
        let texts: Vec<_> = accepted.iter().map(u64::to_string).collect();
        self.particular(name, passed)
            .expected(texts.join(", "))
            .actual(self.describe(|summary| describe(number(summary, name))))
            .remedy("this is not what the policy is for; if it should be accepted, add the number")
    }

    fn value(&self, name: &str, accepted: &[Vec<u8>]) -> Check {
        let find = |summary: &Summary| {
            let mut values = summary.values.iter();
            values
                .find(|value| value.name == name)
                .map(|value| value.bytes.clone())
        };
        let passed =
            self.holds(|summary| find(summary).is_some_and(|found| accepted.contains(&found)));
        self.particular(name, passed)
            .expected(list(accepted))
            .actual(self.describe(|summary| super::told(find(summary).as_deref())))
            .remedy("this is not what the policy is for; if it should be accepted, add the value")
    }

    fn particular(&self, name: &str, passed: bool) -> Check {
        check(format!("{}: {name}", self.technology), passed).source(self.sources.particulars)
    }
}

fn number(summary: &Summary, name: &str) -> Option<u64> {
    let mut numbers = summary.numbers.iter();
    numbers
        .find(|number| number.name == name)
        .map(|number| number.value)
}

fn describe(number: Option<u64>) -> String {
    number.map_or("not told".to_owned(), |number| number.to_string())
}
