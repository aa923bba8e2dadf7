//! The pages that Keeps are launched with, and what they measure.

mod elf;
mod enclave;
mod guest;
