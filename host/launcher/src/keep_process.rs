//! Processes of Keeps that are the launching program itself.
//!
//! What enters an enclave or runs a virtual machine gets a process of its own: this program,
//! executed again under another name. So a program that launches Keeps begins with
//! [`become_keep_if_asked`].

use std::sync::atomic::{AtomicBool, Ordering};

use enarx_wire_launch::KeepImage;

use crate::{kvm, sgx};

/// Whether this program's `main` looks at its name: one that does not would run as itself
/// when it is executed again.
static PREPARED: AtomicBool = AtomicBool::new(false);

/// Turns this process into a Keep's, if the launcher has started it as one; returns
/// otherwise. A program that launches Keeps in enclaves or virtual machines calls this first of
/// all, with the image that it launches.
pub fn become_keep_if_asked<'a>(image: impl FnOnce() -> KeepImage<'a>) {
    PREPARED.store(true, Ordering::SeqCst);
    let name = std::env::args_os().next();
    let is = |other: &std::ffi::CStr| {
        name.as_ref()
            .is_some_and(|name| name.as_encoded_bytes() == other.to_bytes())
    };
    if is(sgx::PROCESS_NAME) {
        std::process::exit(sgx::run_keep(&image()));
    }
    if is(kvm::PROCESS_NAME) {
        std::process::exit(kvm::run_keep(&image()));
    }
}

/// Whether this program can be executed as a Keep's process.
pub(crate) fn is_prepared() -> bool {
    PREPARED.load(Ordering::SeqCst)
}
