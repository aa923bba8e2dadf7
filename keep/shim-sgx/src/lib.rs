//! The enclave beneath the runtime.
//!
//! The host enters an enclave at one place, with registers and at moments of its choice.
//! What happens then:
//!
//! | entered with | state of the thread | what happens |
//! |---|---|---|
//! | CSSA 0 | not begun | it begins: the first one verifies and starts the runtime |
//! | CSSA 0 | in a call to the host | the call returns |
//! | CSSA 0 | otherwise | the Keep stops |
//! | CSSA 1 | in a call to the host | the call returns |
//! | CSSA 1 | otherwise | the exception in the save area, if there is one, is handled |
//!
//! There is no CSSA 2: the processor itself refuses to enter the handler of a handler. An
//! interruption leads back to where it happened with ERESUME; a host that enters instead
//! finds no exception in the save area, and is sent to resume. While a call is with the host,
//! the save area leads to a place that stops the Keep, so that what was
//! interrupted cannot be resumed before the answer was looked at.
//!
//! A `syscall` instruction is an invalid opcode in an enclave, and so an exception like others.

#![no_std]

extern crate alloc;

pub mod cpuid;
#[cfg(panic = "abort")]
mod enclave;

/// What this program is.
pub const DESCRIPTION: &str = "an SGX enclave, when built as one";
