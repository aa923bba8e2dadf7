//! What the runtime needs of Linux, inside the TEE.
//!
//! The runtime is an ordinary static Linux program. Where it runs in a TEE there is no
//! kernel beneath it that it could trust, so a shim answers its system calls: from inside as
//! far as possible (memory, threads, signals, files, time), and by asking the host for the few
//! things that only the host can do (the stream to the owner, waiting, diagnostics).
//!
//! This library is the part of a shim that is the same for every TEE.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod attestation;
mod call;
mod clock;
mod error;
pub mod file;
mod futex;
mod hashing;
pub mod heap;
mod kernel;
pub mod memory;
mod platform;
pub mod processor;
mod registers;
mod signal;
mod start;
mod thread;
#[cfg(panic = "abort")]
mod toolchain;
mod user;

pub use call::{CallSlot, HostCall};
pub use error::Error;
pub use hashing::Hashing;
pub use kernel::{Beginning, Kernel, Next};
pub use platform::{Answer, Platform, Stop};
pub use registers::{
    EXTENDED_STATE_SIZE, ExtendedState, GENERAL_REGISTERS, INITIAL_EXTENDED_STATE, Registers,
};
pub use signal::{Exception, vector};
pub use start::{Program, begin_program};
pub use user::{Buffer, Buffers, UserMemory};
