//! The `process` backend: a Keep without a TEE.

pub(crate) mod image;

use std::os::fd::OwnedFd;
use std::path::Path;

use enarx_wire_launch::{Digest, Platform};

use crate::backend::{Backend, LaunchRequest};
use crate::child::{self, Beginning, Confinement, Prepared, Served, Start, Workplace};
use crate::device::Device;
use crate::keep::LaunchedKeep;
use crate::simulated::Simulated;
use crate::{Isolation, LaunchError};

use image::ImageStore;

/// Runs Keeps as child processes, with simulated evidence.
#[derive(Debug)]
pub struct ProcessBackend {
    images: ImageStore,
    namespaces: bool,
    prepared: Prepared<Process>,
}

impl ProcessBackend {
    /// A backend that may keep executable Keep images in the private directory
    /// `image_cache`; without one, each backend copies them into memory once.
    #[must_use]
    pub fn new(image_cache: Option<&Path>) -> Self {
        Self {
            images: ImageStore::new(image_cache),
            namespaces: true,
            prepared: Prepared::none(),
        }
    }

    /// The same backend that does without namespaces, as it does by itself where
    /// the host does not permit them.
    #[must_use]
    pub fn without_namespaces(mut self) -> Self {
        self.namespaces = false;
        self
    }

    /// The process for `request`, in namespaces: the one that was prepared, or a new one.
    fn process(&self, request: &LaunchRequest<'_>) -> Result<Beginning, LaunchError> {
        match self.prepared.take(&Process::of(request)) {
            Some(process) => Ok(process),
            None => {
                let image = self.images.executable(request.image)?;
                begin(request, &image, namespaces(request))
            }
        }
    }
}

impl Backend for ProcessBackend {
    fn platform(&self) -> Platform {
        Platform::Process
    }

    fn prepare(&self, request: &LaunchRequest<'_>) {
        if !self.namespaces {
            return;
        }
        if let Ok(process) = self.process(request) {
            self.prepared.keep(Process::of(request), process);
        }
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        let simulated = Simulated::of(request, Platform::Process)?;
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        let endorsements = simulated.endorsements();

        let reason = if self.namespaces {
            let process = self.process(request)?;
            match process.finish(Some(served(device(request, &simulated)?))) {
                Ok(started) => {
                    return Ok(LaunchedKeep {
                        channel: started.channel,
                        endorsements,
                        isolation: Isolation::Namespaces,
                        process: started.process,
                    });
                }
                Err(error) => child::not_permitted(&error).ok_or(error)?,
            }
        } else {
            "namespaces were switched off".to_owned()
        };
        tracing::warn!(reason, "running a Keep without namespaces");
        let image = self.images.executable(request.image)?;
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let process = begin(request, &image, workplace)?;
        let started = process.finish(Some(served(device(request, &simulated)?)))?;
        Ok(LaunchedKeep {
            channel: started.channel,
            endorsements,
            isolation: Isolation::Directory { path, reason },
            process: started.process,
        })
    }
}

/// What a process that becomes a Keep is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    runtime: Digest,
    memory_bytes: u64,
    cpu_seconds: Option<u64>,
    network: bool,
}

impl Process {
    fn of(request: &LaunchRequest<'_>) -> Self {
        Self {
            runtime: request.image.runtime_digest,
            memory_bytes: request.memory_bytes,
            cpu_seconds: request.cpu_seconds,
            network: request.network,
        }
    }
}

/// Begins a confined child process that runs the runtime.
pub(crate) fn begin(
    request: &LaunchRequest<'_>,
    image: &OwnedFd,
    workplace: Workplace,
) -> Result<Beginning, LaunchError> {
    child::begin(Start {
        program: image,
        name: c"enarx-keep",
        workplace,
        confinement: Confinement::Before,
        private_memory_bytes: Some(request.memory_bytes),
        cpu_seconds: request.cpu_seconds,
        network: request.network,
    })
}

/// Namespaces in which the Keep's files take as much as its memory at most.
pub(crate) fn namespaces(request: &LaunchRequest<'_>) -> Workplace {
    Workplace::namespaces(request.memory_bytes)
}

/// A runtime that is served by `device`.
pub(crate) fn served(device: Device) -> Served {
    Served {
        device,
        introduction: None,
    }
}

/// The simulated TEE of one Keep.
fn device(request: &LaunchRequest<'_>, simulated: &Simulated) -> Result<Device, LaunchError> {
    let page = enarx_wire_launch::launch_page(Platform::Process, request.image, request.memory());
    let measurement = enarx_wire_launch::process_launch_digest(request.image, request.memory());
    simulated.device(request, &page, measurement, None)
}
