//! Rules for what only one technology has.

use std::collections::BTreeMap;

/// Rules for evidence of one technology, about its particulars by their names
/// ([`Technology::names`](enarx_owner_evidence::Technology::names)).
///
/// | key | value |
/// |---|---|
/// | `required_flags`, `forbidden_flags` | lists of flags |
/// | `minimum` | table: lowest value of a number |
/// | `numbers` | table: list of the accepted values of a number |
/// | `values` | table: list of the accepted values of an identity or digest, in hexadecimal |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TechnologyRules {
    /// Flags that must be on.
    pub required_flags: Vec<&'static str>,
    /// Flags that must be off.
    pub forbidden_flags: Vec<&'static str>,
    /// Lowest values of numbers.
    pub minimum: BTreeMap<&'static str, u64>,
    /// Accepted values of numbers.
    pub numbers: BTreeMap<&'static str, Vec<u64>>,
    /// Accepted values of identities and digests.
    pub values: BTreeMap<&'static str, Vec<Vec<u8>>>,
}
