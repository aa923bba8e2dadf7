//! Verification against evidence of real processors, and against evidence minted here
//! with one thing wrong at a time.

mod cca_sins;
mod dcap;
mod dcap_sins;
mod dcap_verdicts;
mod forms;
mod manifests;
mod mint;
mod mint_intel;
mod mint_nvidia;
mod others;
mod real;
mod reports;
mod revocation;
mod se;
mod seeds;
mod sev;
mod sins;
mod vectors;
