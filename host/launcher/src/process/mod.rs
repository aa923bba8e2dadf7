//! The `process` backend: a Keep without a TEE.
//!
//! The runtime is the child of a thread, which serves the Keep for its whole life
//! and so is also what the Keep's life is tied to (`PR_SET_PDEATHSIG` follows the
//! thread, not the process).
//!
//! ```text
//! launch() ── thread ── clone ──────────────► child: namespaces, empty root,
//!    ▲           │                              descriptors 0-4, limits, filter,
//!    │           │ ◄── failed step, or end of    no capabilities, execveat
//!    │           │     file: the runtime runs
//!    └─ handle ──┤
//!                └─ serves attestation device and diagnostics, reaps
//! ```

mod child;
mod filter;
mod image;
mod program;
mod service;
mod spawn;
mod step;
mod workplace;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, mpsc};

use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::backend::{Backend, Endorsement, EndorsementKind, LaunchRequest};
use crate::device::Device;
use crate::keep::{KeepProcess, LaunchedKeep, Life};
use crate::{Isolation, LaunchError};

use image::ImageStore;
use service::Service;
use spawn::Preparation;
pub use step::ChildStep;
use workplace::Workplace;

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

    fn evidence_format(&self) -> EvidenceFormat {
        EvidenceFormat::SnpReport
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        let processor = request.simulator.ok_or(LaunchError::NoEvidenceSource)?;
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        let certificates = processor.certificates();
        let endorsements = [
            (EndorsementKind::SnpVcek, &certificates.vcek),
            (EndorsementKind::SnpAsk, &certificates.ask),
            (EndorsementKind::SnpArk, &certificates.ark),
        ]
        .map(|(kind, certificate)| Endorsement {
            kind,
            bytes: certificate.clone(),
        })
        .to_vec();

        let image = self.images.executable(request.image)?;

        let reason = if self.namespaces {
            let workplace = Workplace::namespaces(request.memory_bytes);
            match self.start(request, &image, workplace) {
                Ok((channel, process)) => {
                    return Ok(LaunchedKeep {
                        channel,
                        endorsements,
                        isolation: Isolation::Namespaces,
                        process,
                    });
                }
                Err(error) => not_permitted(&error).ok_or(error)?,
            }
        } else {
            "namespaces were switched off".to_owned()
        };
        tracing::warn!(reason, "running a Keep without namespaces");
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let (channel, process) = self.start(request, &image, workplace)?;
        Ok(LaunchedKeep {
            channel,
            endorsements,
            isolation: Isolation::Directory { path, reason },
            process,
        })
    }
}

impl ProcessBackend {
    fn start(
        &self,
        request: &LaunchRequest<'_>,
        image: &OwnedFd,
        workplace: Workplace,
    ) -> Result<(UnixStream, KeepProcess), LaunchError> {
        let device = device(request)?;
        let (ours, theirs) = spawn::descriptors(image).map_err(LaunchError::Descriptors)?;
        let preparation = Preparation {
            descriptors: theirs,
            root: workplace.root(),
            memory_bytes: request.memory_bytes,
            cpu_seconds: request.cpu_seconds,
        };
        let life = Arc::new(Life::default());
        let service = Service {
            device,
            stream: ours.device,
            diagnostics: ours.diagnostics,
            life: Arc::clone(&life),
            cpu_seconds: request.cpu_seconds,
            workplace,
        };

        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("keep".to_owned())
            .stack_size(SERVICE_STACK)
            .spawn(move || match spawn::spawn(preparation, &ours.report) {
                Ok(child) => {
                    let pidfd = Arc::new(child.pidfd);
                    // The receiver waits for this one message.
                    let _ = sender.send(Ok((child.id, Arc::clone(&pidfd))));
                    service.run(child.id, &pidfd);
                }
                Err(error) => {
                    drop(service);
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(LaunchError::Thread)?;
        match receiver.recv() {
            Ok(Ok((id, pidfd))) => {
                let process = KeepProcess::new(id, pidfd, life, thread);
                Ok((ours.channel, process))
            }
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(LaunchError::Thread(io::Error::other(
                "it ended before the Keep started",
            ))),
        }
    }
}

/// Tries to make the namespaces of a Keep, and nothing else of it.
///
/// # Errors
///
/// [`LaunchError`] names the step that failed.
pub(crate) fn try_namespaces() -> Result<(), LaunchError> {
    let workplace = Workplace::namespaces(LaunchRequest::LEAST_MEMORY);
    spawn::try_namespaces(&workplace.root())
}

/// Bytes of stack of a Keep's service thread.
const SERVICE_STACK: usize = 256 << 10;

/// The simulated TEE of one Keep.
fn device(request: &LaunchRequest<'_>) -> Result<Device, LaunchError> {
    let processor = request.simulator.ok_or(LaunchError::NoEvidenceSource)?;
    let mut report_id = [0; 32];
    aws_lc_rs::rand::fill(&mut report_id).map_err(|_| LaunchError::Random)?;
    let page =
        enarx_wire_launch::launch_page(Platform::Process, request.image, request.memory_bytes);
    Ok(Device {
        processor: Arc::clone(processor),
        launch_page: page.encode(),
        measurement: enarx_wire_launch::process_launch_digest(request.image, request.memory_bytes),
        host_data: request.host_data,
        report_id,
    })
}

/// Why namespaces are not permitted, if that is what an error says.
fn not_permitted(error: &LaunchError) -> Option<String> {
    let permission = |source: &io::Error| {
        matches!(
            source.raw_os_error(),
            Some(
                libc::EPERM
                    | libc::EACCES
                    | libc::ENOSPC
                    | libc::EUSERS
                    | libc::EINVAL
                    | libc::ENOENT
            )
        )
    };
    match error {
        LaunchError::Clone(source) if permission(source) => Some(format!(
            "the host permits no user namespaces ({source}); {}",
            crate::probe::NAMESPACES_REMEDY
        )),
        LaunchError::Child { step, source } if step.needs_namespaces() && permission(source) => {
            Some(format!(
                "the Keep's process could not {step} ({source}); {}",
                crate::probe::NAMESPACES_REMEDY
            ))
        }
        _ => None,
    }
}
