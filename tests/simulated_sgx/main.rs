//! A simulated SGX machine against the owner's verification, which share no code: each is the
//! other's test.

mod attestation;
mod machine;
mod quotes;
mod verdicts;
