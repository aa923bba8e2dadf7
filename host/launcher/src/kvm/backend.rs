//! Launching Keeps in virtual machines.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;

use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_launch::vm::GuestPages;
use enarx_wire_launch::{Digest, LaunchPage, Platform, launch_page};

use super::keep_process::{self, Report};
use super::machine;
use crate::backend::{Backend, LaunchRequest};
use crate::child::{self, ChildStep, Confinement, Start, Started, Workplace};
use crate::keep::LaunchedKeep;
use crate::keep_process::is_prepared;
use crate::{Isolation, LaunchError, simulated};

/// Runs Keeps in virtual machines, each in a process of its own, with simulated evidence.
#[derive(Debug)]
pub struct KvmBackend {
    platform: Platform,
    namespaces: bool,
}

impl KvmBackend {
    /// The backend `kvm`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            platform: Platform::Kvm,
            namespaces: true,
        }
    }

    /// The backend `snp`, whose SEV-SNP the host plays.
    #[must_use]
    pub fn snp() -> Self {
        Self {
            platform: Platform::Snp,
            ..Self::new()
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

impl Default for KvmBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for KvmBackend {
    fn platform(&self) -> Platform {
        self.platform
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        if self.platform == Platform::Snp && request.simulator.is_none() {
            return Err(LaunchError::NoSnp(snp_device()));
        }
        let processor = simulated::processor(request)?;
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        if request.image.vm.shim.is_empty() {
            return Err(LaunchError::NoShim);
        }
        machine::open_kvm().map_err(LaunchError::NoKvm)?;
        if !is_prepared() {
            return Err(LaunchError::NotPrepared);
        }
        let pages = match self.platform {
            Platform::Kvm => GuestPages::new(self.platform, request.image, request.memory()),
            _ => GuestPages::played(self.platform, request.image, request.memory()),
        }
        .map_err(LaunchError::Pages)?;
        let program = File::open("/proc/self/exe").map_err(LaunchError::Descriptors)?;
        let launch = Launch {
            request,
            processor,
            page: launch_page(self.platform, request.image, request.memory()),
            measurement: pages.launch_digest(),
            program: program.into(),
        };

        let reason = if self.namespaces {
            let workplace = Workplace::namespaces(LaunchRequest::LEAST_MEMORY);
            match launch.start(workplace) {
                Ok(started) => return Ok(launch.launched(started, Isolation::Namespaces)),
                Err(error) => child::not_permitted(&error).ok_or(error)?,
            }
        } else {
            "namespaces were switched off".to_owned()
        };
        tracing::warn!(reason, "running a Keep without namespaces");
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let started = launch.start(workplace)?;
        Ok(launch.launched(started, Isolation::Directory { path, reason }))
    }
}

/// What there is of the device by which SEV-SNP machines are launched.
fn snp_device() -> String {
    match File::open("/dev/sev") {
        Ok(_) => "this version cannot launch on hardware yet".to_owned(),
        Err(error) => format!("/dev/sev: {error}"),
    }
}

/// One launch, of which there may be two tries.
struct Launch<'a> {
    request: &'a LaunchRequest<'a>,
    processor: &'a Arc<SecureProcessor>,
    page: LaunchPage,
    measurement: Digest,
    program: OwnedFd,
}

impl Launch<'_> {
    /// Starts the process and waits until its machine runs.
    fn start(&self, workplace: Workplace) -> Result<Started, LaunchError> {
        let device = simulated::device(self.request, self.processor, &self.page, self.measurement)?;
        let page = device.launch_page;
        let network = self.request.network;
        let (sender, receiver) = mpsc::sync_channel(1);
        let introduce = move |mut stream: &UnixStream| {
            let mut report = [0; Report::SIZE];
            let said = stream
                .write_all(&page)
                .and_then(|()| stream.write_all(&[network.into()]))
                .and_then(|()| stream.read_exact(&mut report))
                .map(|()| Report::decode(report));
            // The receiver waits for this one message.
            let _ = sender.send(said);
        };
        let started = child::start(Start {
            program: &self.program,
            name: keep_process::NAME,
            workplace,
            confinement: Confinement::ByProgram,
            // The machine's memory is limited by its size.
            private_memory_bytes: None,
            cpu_seconds: self.request.cpu_seconds,
            network,
            device: Some(device),
            introduction: Some(Box::new(introduce)),
        })?;
        let report = receiver.recv();
        match report {
            Ok(Ok(Some(Report::Running))) => return Ok(started),
            Ok(Ok(Some(Report::NotConfined { step, error }))) => {
                if let Some(step) = ChildStep::from_code(step) {
                    return Err(LaunchError::Child {
                        step,
                        source: std::io::Error::from_raw_os_error(error),
                    });
                }
            }
            _ => {}
        }
        // What there is to say, it has said as diagnostics.
        let failed = matches!(report, Ok(Ok(Some(Report::Failed))));
        if !failed {
            started.process.kill();
        }
        let ended = started.process.wait();
        let diagnostics = ended.diagnostics.trim();
        Err(if failed {
            LaunchError::Machine(diagnostics.to_owned())
        } else {
            LaunchError::Vanished(format!("{:?}; {diagnostics}", ended.outcome))
        })
    }

    fn launched(&self, started: Started, isolation: Isolation) -> LaunchedKeep {
        LaunchedKeep {
            channel: started.channel,
            endorsements: simulated::endorsements(self.processor),
            isolation,
            process: started.process,
        }
    }
}
