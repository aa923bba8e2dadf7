//! The process that holds an enclave.
//!
//! An enclave lives in a process's address space and is entered by its threads, so each Keep
//! gets a process of its own, which can be limited, confined and killed.
//!
//! ```text
//! configuration (descriptor 4) -> pages -> enclave -> confined -> report -> threads
//! ```

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use enarx_wire_hostcall::{ATTESTATION_DEVICE, CHANNEL, DIAGNOSTICS};
use enarx_wire_launch::KeepImage;
use enarx_wire_launch::sgx::{Attributes, EnclavePages, Sigstruct, layout};

use super::configuration::{self, Configuration, Quotes, Report};
use super::enclave::{Enclave, EnclaveBuilder};
use super::hardware::HardwareBuilder;
use super::loader;
use super::remote_quoting::RemoteQuoting;
use super::run::EnclaveKeep;
use super::services::{EnclaveServices, Quoting};
use super::simulated;
use crate::child::{self, Program};
use crate::service::{STOPPED_STATUS, Services, Threads, begin_clock};

/// The name by which a program knows that it is to be an enclave's process.
pub(crate) const NAME: &CStr = c"enarx-sgx-keep";

/// Runs the Keep to its end; gives the status of the process.
pub(crate) fn run(image: &KeepImage<'_>) -> i32 {
    begin_clock();
    // SAFETY: the launcher has opened these descriptors, and nothing in this process, which has
    // only begun, knows of them.
    let (diagnostics, channel, launcher) = unsafe {
        (
            OwnedFd::from_raw_fd(DIAGNOSTICS),
            OwnedFd::from_raw_fd(CHANNEL),
            UnixStream::from_raw_fd(ATTESTATION_DEVICE),
        )
    };
    let report = |report| {
        // The launcher sees the end of the process, if it does not hear this.
        let _ = configuration::send(&launcher, &report);
    };
    let configuration: Configuration = match configuration::receive(&launcher) {
        Ok(Some(configuration)) => configuration,
        _ => return STOPPED_STATUS,
    };
    let (enclave, simulated) = match build(image, &configuration) {
        Ok(built) => built,
        Err(reason) => {
            report(Report::Failed(reason));
            return STOPPED_STATUS;
        }
    };
    let file_system = configuration.namespaces.then_some(FILE_SYSTEM_SIZE);
    let network = configuration.network;
    if let Err((step, error)) = child::confine(Program::EnclaveHost { network }, file_system) {
        report(Report::NotConfined {
            step: step as u8,
            error: error.raw_os_error().unwrap_or(libc::EIO),
        });
        return STOPPED_STATUS;
    }
    report(Report::Running);
    let quoting = match (configuration.quotes, simulated) {
        (Quotes::Simulator, Some(simulated)) => {
            drop(launcher);
            simulated
        }
        _ => Box::new(RemoteQuoting::new(launcher)),
    };
    let threads = configuration.threads;
    let technology = EnclaveServices {
        enclave: Arc::clone(&enclave),
        quoting,
    };
    let technology = Box::new(technology);
    // All that can be missing are descriptors for the threads to wait at.
    let Ok(services) = Services::new(technology, channel, diagnostics, threads, network) else {
        return STOPPED_STATUS;
    };
    Threads::new(EnclaveKeep { enclave, services }, threads, |status| {
        // SAFETY: ends this process at once. Other threads may be in the enclave: nothing
        // waits for them, and nothing that runs at a process's regular end is needed.
        unsafe { libc::_exit(status) }
    })
    .run_first();
    STOPPED_STATUS
}

/// Size in bytes of the file system that the process is left with, in which nothing is ever
/// written.
const FILE_SYSTEM_SIZE: u64 = 1 << 20;

/// What makes an enclave, and the simulated machine's quoting enclave, if it is one.
pub(super) type Means = (Box<dyn EnclaveBuilder>, Option<Box<dyn Quoting>>);

type Built = (Arc<dyn Enclave>, Option<Box<dyn Quoting>>);

fn build(image: &KeepImage<'_>, configuration: &Configuration) -> Result<Built, String> {
    if !(1..=layout::MAX_THREADS).contains(&configuration.threads) {
        return Err(format!("no enclave has {} threads", configuration.threads));
    }
    let pages =
        EnclavePages::new(image, configuration.options()).map_err(|error| error.to_string())?;
    let sigstruct = hex::decode(&configuration.sigstruct)
        .ok()
        .and_then(|bytes| Sigstruct::decode(&bytes).ok())
        .ok_or("the enclave's SIGSTRUCT is none")?;
    let mut config_id = [0; 64];
    hex::decode_to_slice(&configuration.config_id, &mut config_id)
        .map_err(|_| "the enclave's CONFIGID is none")?;
    let (builder, quoting): Means = match &configuration.simulator {
        Some(machine) => simulated::open(machine)?,
        None => {
            let builder = HardwareBuilder::new()
                .map_err(|error| format!("the SGX driver cannot be used: {error}"))?;
            (Box::new(builder), None)
        }
    };
    let attributes = Attributes::of_keep(configuration.debug);
    let enclave = loader::load(builder, &pages, attributes, config_id, &sigstruct)
        .map_err(|error| error.to_string())?;
    Ok((enclave.into(), quoting))
}
