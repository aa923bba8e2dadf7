//! Processes of Keeps that are the launching program itself.
//!
//! What enters an enclave or runs a virtual machine gets a process of its own: this program,
//! executed again under another name. So a program that launches Keeps begins with
//! [`become_keep_if_asked`].

use std::ffi::CStr;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use enarx_wire_launch::KeepImage;

use crate::backend::LaunchRequest;
use crate::child::{self, Beginning, Confinement, Prepared, Start, Workplace};
use crate::{LaunchError, kvm, sgx};

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

/// What begins a backend's processes of this kind.
#[derive(Debug)]
pub(crate) struct KeepProcesses {
    name: &'static CStr,
    prepared: Prepared<Limits>,
}

/// The limits of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    cpu_seconds: Option<u64>,
    network: bool,
}

impl KeepProcesses {
    /// Processes with the name that `main` looks for.
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            prepared: Prepared::none(),
        }
    }

    /// Begins the process that a launch of `request` will take.
    pub(crate) fn prepare(&self, request: &LaunchRequest<'_>) {
        if let Ok(process) = self.in_namespaces(request) {
            self.prepared.keep(Limits::of(request), process);
        }
    }

    /// The process for `request` in namespaces: the one that was prepared, or a new one.
    ///
    /// # Errors
    ///
    /// [`LaunchError::NotPrepared`], or as [`child::begin`].
    pub(crate) fn in_namespaces(
        &self,
        request: &LaunchRequest<'_>,
    ) -> Result<Beginning, LaunchError> {
        match self.prepared.take(&Limits::of(request)) {
            Some(process) => Ok(process),
            None => self.begin(request, Workplace::namespaces(LaunchRequest::LEAST_MEMORY)),
        }
    }

    /// A process for `request` in `workplace`.
    ///
    /// # Errors
    ///
    /// As [`KeepProcesses::in_namespaces`].
    pub(crate) fn begin(
        &self,
        request: &LaunchRequest<'_>,
        workplace: Workplace,
    ) -> Result<Beginning, LaunchError> {
        if !PREPARED.load(Ordering::SeqCst) {
            return Err(LaunchError::NotPrepared);
        }
        let program = File::open("/proc/self/exe").map_err(LaunchError::Descriptors)?;
        let Limits {
            cpu_seconds,
            network,
        } = Limits::of(request);
        child::begin(Start {
            program: &program.into(),
            name: self.name,
            workplace,
            confinement: Confinement::ByProgram,
            // Neither an enclave's pages nor a machine's memory count there.
            private_memory_bytes: None,
            cpu_seconds,
            network,
        })
    }
}

impl Limits {
    fn of(request: &LaunchRequest<'_>) -> Self {
        Self {
            cpu_seconds: request.cpu_seconds,
            network: request.network,
        }
    }
}
