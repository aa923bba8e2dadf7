//! The `process` backend: a Keep without a TEE.

pub(crate) mod image;

use std::os::fd::OwnedFd;
use std::path::Path;

use enarx_wire_launch::{KeepImage, Platform};

use crate::backend::{Backend, LaunchRequest};
use crate::child::{self, Confinement, Start, Started, Workplace};
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
}

impl ProcessBackend {
    /// A backend that may keep executable Keep images in the private directory
    /// `image_cache`; without one, each backend copies them into memory once.
    #[must_use]
    pub fn new(image_cache: Option<&Path>) -> Self {
        Self {
            images: ImageStore::new(image_cache),
            namespaces: true,
        }
    }

    /// The same backend that does without namespaces, as it does by itself where
    /// the host does not permit them.
    #[must_use]
    pub fn without_namespaces(mut self) -> Self {
        self.namespaces = false;
        self
    }
}

impl Backend for ProcessBackend {
    fn platform(&self) -> Platform {
        Platform::Process
    }

    fn prepare(&self, image: &KeepImage<'_>) {
        let _ = self.images.executable(image);
        child::prepare();
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        let simulated = Simulated::of(request, Platform::Process)?;
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        let endorsements = simulated.endorsements();

        let image = self.images.executable(request.image)?;

        let reason = if self.namespaces {
            let workplace = Workplace::namespaces(request.memory_bytes);
            match start(request, device(request, &simulated)?, &image, workplace) {
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
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let started = start(request, device(request, &simulated)?, &image, workplace)?;
        Ok(LaunchedKeep {
            channel: started.channel,
            endorsements,
            isolation: Isolation::Directory { path, reason },
            process: started.process,
        })
    }
}

/// Starts the runtime as a confined child process whose evidence `device` gives.
pub(crate) fn start(
    request: &LaunchRequest<'_>,
    device: Device,
    image: &OwnedFd,
    workplace: Workplace,
) -> Result<Started, LaunchError> {
    child::start(Start {
        program: image,
        name: c"enarx-keep",
        workplace,
        confinement: Confinement::Before,
        private_memory_bytes: Some(request.memory_bytes),
        cpu_seconds: request.cpu_seconds,
        network: request.network,
        device: Some(device),
        introduction: None,
    })
}

/// The simulated TEE of one Keep.
fn device(request: &LaunchRequest<'_>, simulated: &Simulated) -> Result<Device, LaunchError> {
    let page = enarx_wire_launch::launch_page(Platform::Process, request.image, request.memory());
    let measurement = enarx_wire_launch::process_launch_digest(request.image, request.memory());
    simulated.device(request, &page, measurement, None)
}
