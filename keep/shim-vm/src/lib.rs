//! The virtual machine beneath the runtime.
//!
//! There is no kernel, no firmware and no device in a Keep's machine: the host loads the pages
//! that `wire/launch` lists, and starts the first virtual processor at the shim's first
//! instruction. The shim makes itself at home (long mode, tables, its own copy of the runtime,
//! which it hashes), and from then on serves the runtime's system calls and exceptions.
//!
//! The same file runs in two ways:
//!
//! | body of the shim in | where | what keeps the runtime out of the shim |
//! |---|---|---|
//! | ring 0 | hardware KVM, QEMU's emulator, TEEs | page tables; SMEP and SMAP where the processor has them |
//! | ring 3 | software KVM, which emulates ring 0 slowly and incompletely | nothing: for development alone, and refused unless the measured platform is `kvm` |
//!
//! In ring 3 the entry code and the first instructions of handlers still run in (emulated) ring
//! 0; all else, the handler of system calls too, runs where the runtime runs.
//!
//! Calls to the host go through a block of shared memory, one for each virtual processor, and a
//! doorbell. The host can write blocks at any time, give any answer, stop any processor for any
//! time, or never answer; no register of a processor is its own to set once that runs.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod exceptions;
pub mod free;
pub mod generations;
#[cfg(panic = "abort")]
mod guest;
pub mod snp;
pub mod tdx;

/// What this program is.
pub const DESCRIPTION: &str = "a guest of a virtual machine, when built as one";
