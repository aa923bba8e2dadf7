//! Launching Keeps in virtual machines.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;

use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::vm::GuestPages;
use enarx_wire_launch::{Digest, LaunchPage, Platform, SnpSignedIdentity, launch_page};

use super::keep_process::{self, Report};
use super::order::Order;
use super::{machine, tee};
use crate::backend::{Backend, Endorsement, LaunchRequest};
use crate::child::{self, Beginning, ChildStep, Served, Started, Workplace};
use crate::device::{Device, EvidenceSource};
use crate::keep::LaunchedKeep;
use crate::keep_process::KeepProcesses;
use crate::simulated::Simulated;
use crate::snp::{CertificateFile, IdentityStore};
use crate::{Isolation, LaunchError};

/// Runs Keeps in virtual machines, each in a process of its own. Without a TEE, or with one that the host
/// plays, their evidence is simulated.
#[derive(Debug)]
pub struct KvmBackend {
    platform: Platform,
    processes: KeepProcesses,
    namespaces: bool,
    identities: IdentityStore,
    certificates: CertificateFile,
}

impl KvmBackend {
    /// The backend `kvm`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            platform: Platform::Kvm,
            processes: KeepProcesses::new(keep_process::NAME),
            namespaces: true,
            identities: IdentityStore::default(),
            certificates: CertificateFile::default(),
        }
    }

    /// The backend `snp`, which takes from `directory` who vouches for what it launches, and the certificates
    /// of the chip.
    #[must_use]
    pub fn snp(directory: Option<&Path>) -> Self {
        Self {
            platform: Platform::Snp,
            identities: IdentityStore::new(directory),
            certificates: CertificateFile::new(directory),
            ..Self::new()
        }
    }

    /// The backend `tdx`.
    #[must_use]
    pub fn tdx() -> Self {
        Self {
            platform: Platform::Tdx,
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

    fn prepare(&self, request: &LaunchRequest<'_>) {
        if self.namespaces && !request.image.vm.shim.is_empty() {
            self.processes.prepare(request);
        }
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        let simulated = match (self.platform, request.simulator) {
            (Platform::Snp, None) => {
                tee::snp().map_err(LaunchError::NoSnp)?;
                None
            }
            (Platform::Tdx, None) => {
                tee::tdx().map_err(LaunchError::NoTdx)?;
                None
            }
            _ => Some(Simulated::of(request, self.platform)?),
        };
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        if request.image.vm.shim.is_empty() {
            return Err(LaunchError::NoShim);
        }
        machine::open_kvm().map_err(LaunchError::NoKvm)?;
        let played = simulated.is_some() && self.platform != Platform::Kvm;
        let pages = if played {
            GuestPages::played(self.platform, request.image, request.memory())
        } else {
            GuestPages::new(self.platform, request.image, request.memory())
        };
        let measurement = pages.map_err(LaunchError::Pages)?.launch_digest();
        let identity = match self.platform {
            Platform::Snp => self.identities.of(&measurement)?,
            _ => None,
        };
        let endorsements = match &simulated {
            Some(simulated) => simulated.endorsements(),
            // The rest owners get from the TEE's vendor.
            None => self.certificates.endorsements()?,
        };
        let launch = Launch {
            request,
            simulated,
            endorsements,
            page: launch_page(self.platform, request.image, request.memory()),
            measurement,
            identity,
        };

        let reason = if self.namespaces {
            match launch.start(self.processes.in_namespaces(request)?) {
                Ok(started) => return Ok(launch.launched(started, Isolation::Namespaces)),
                Err(error) => child::not_permitted(&error).ok_or(error)?,
            }
        } else {
            "namespaces were switched off".to_owned()
        };
        tracing::warn!(reason, "running a Keep without namespaces");
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let started = launch.start(self.processes.begin(request, workplace)?)?;
        Ok(launch.launched(started, Isolation::Directory { path, reason }))
    }
}

/// One launch, of which there may be two tries.
struct Launch<'a> {
    request: &'a LaunchRequest<'a>,
    /// What gives its evidence, unless it has a TEE of the processor's own.
    simulated: Option<Simulated>,
    /// What it is verified with.
    endorsements: Vec<Endorsement>,
    page: LaunchPage,
    measurement: Digest,
    /// Who vouches for that, if anybody does.
    identity: Option<SnpSignedIdentity>,
}

impl Launch<'_> {
    /// Starts `process` and waits until its machine runs.
    fn start(&self, process: Beginning) -> Result<Started, LaunchError> {
        let identity = self.identity.as_ref();
        let device = match &self.simulated {
            Some(simulated) => {
                simulated.device(self.request, &self.page, self.measurement, identity)?
            }
            None => Device {
                launch_page: self.page.encode(),
                source: Box::new(TeeEvidence),
            },
        };
        let order = Order {
            page: self.page,
            hardware: self.simulated.is_none(),
            network: self.request.network,
            host_data: self.request.host_data,
            identity: self.identity,
        }
        .encode();
        let (sender, receiver) = mpsc::sync_channel(1);
        let introduce = move |mut stream: &UnixStream| {
            let mut report = [0; Report::SIZE];
            let said = stream
                .write_all(&order)
                .and_then(|()| stream.read_exact(&mut report))
                .map(|()| Report::decode(report));
            // The receiver waits for this one message.
            let _ = sender.send(said);
        };
        let started = process.finish(Some(Served {
            device,
            introduction: Some(Box::new(introduce)),
        }))?;
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

    fn launched(self, started: Started, isolation: Isolation) -> LaunchedKeep {
        LaunchedKeep {
            channel: started.channel,
            endorsements: self.endorsements,
            isolation,
            process: started.process,
        }
    }
}

/// A TEE of the processor's own, which gives its evidence to the Keep.
struct TeeEvidence;

impl EvidenceSource for TeeEvidence {
    fn evidence(&self, _: &[u8; REPORT_DATA_SIZE]) -> Result<Vec<u8>, Box<dyn Error>> {
        Err("the machine's TEE gives its evidence itself".into())
    }
}
