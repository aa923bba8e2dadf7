//! Runs small enclaves in the simulator and holds it to the SDM.

mod construction;
mod entry;
mod exceptions;
mod harness;
mod interference;
mod leaves;
mod pages;
mod programs;
mod signer;
