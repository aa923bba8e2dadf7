//! Runs small enclaves in the simulator and holds it to the SDM.

mod entry;
mod harness;
mod programs;
mod signer;
