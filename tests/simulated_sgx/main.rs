//! A simulated Intel machine against the owner's verification, which share no code: each is the
//! other's test.

mod attestation;
mod machine;
mod quotes;
mod trust_domains;
mod verdicts;
