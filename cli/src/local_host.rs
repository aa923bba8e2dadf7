//! A host on this machine: for `enarx host serve`, and embedded for `run` and
//! `deploy --to local`. The one place where owner and host meet in one process; even
//! here they talk through [`HostConnection`] alone, and nothing is trusted more.

mod connection;
mod launcher;

use std::sync::Arc;

use enarx_host_agent::{LaunchOrder, Limits, Service};
use enarx_owner_deployer::{HostConnection, KeepRequest};
use enarx_wire_launch::{KeepImage, SgxImage, VmImage};

use crate::console::Console;

pub use launcher::{Confinement, LocalLauncher, Note, can_simulate};

/// The Keep image inside this program.
pub fn keep_image() -> KeepImage<'static> {
    KeepImage {
        runtime: enarx_host_image::runtime(),
        runtime_digest: enarx_host_image::RUNTIME_DIGEST,
        sgx: SgxImage {
            shim: enarx_host_image::shim_sgx(),
            runtime_pages_digest: enarx_host_image::RUNTIME_PAGES_DIGEST,
        },
        vm: VmImage {
            shim: enarx_host_image::shim_vm(),
            runtime_file_digest: enarx_host_image::RUNTIME_FILE_DIGEST,
        },
    }
}

/// A host for this process alone. `fast` is about the enclaves of its simulator. It begins with the
/// simulated Keep that is `expected`, if one is.
///
/// # Errors
///
/// When there is no place for the simulator's keys.
pub fn embedded(
    console: Console,
    fast: bool,
    expected: Option<&KeepRequest>,
) -> anyhow::Result<Box<dyn HostConnection>> {
    let note: Note = Box::new(move |text| console.note(text));
    let launcher = LocalLauncher::new(Confinement::BestEffort, note)?.with_fast_enclaves(fast);
    let launcher = Arc::new(launcher);
    if let Some(expected) = expected {
        launcher.prepare(&LaunchOrder {
            backend: expected.backend.clone(),
            simulate: expected.simulate,
            memory_bytes: expected.memory_bytes,
            bounded_memory: expected.bounded_memory,
            cpu_seconds: expected.cpu_seconds,
            network: expected.network,
            host_data: [0; _],
        });
    }
    let service = Service::new(launcher, Limits::embedded());
    Ok(Box::new(connection::EmbeddedHost::new(service)))
}
