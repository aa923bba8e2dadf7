//! The launcher's backends, as the service sees them.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::Builder,
};

use enarx_host_agent::{
    KeepLauncher, KeepProcess, LaunchOrder, LaunchRefusal, LaunchedKeep, ProcessExit,
};
use enarx_host_launcher::{
    Backend, Directories, EndorsementKind, Isolation, LaunchError, LaunchRequest, Outcome,
    Simulator, probes,
};
use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_host_api as api;
use enarx_wire_launch::{KeepImage, MemoryStrategy, Platform};

use super::keep_image;
use crate::directories;

/// How the operator is told that something takes a while.
pub type Note = Box<dyn Fn(&str) + Send + Sync>;

/// Starts Keeps of the image inside this program.
pub struct LocalLauncher {
    backends: Vec<Box<dyn Backend>>,
    simulator_directory: PathBuf,
    /// Opened when the first Keep needs it.
    secure_processor: Mutex<Option<Arc<SecureProcessor>>>,
    confinement: Confinement,
    /// Whether simulated enclaves are patched after they were measured.
    fast: bool,
    note: Note,
    /// Keeps whose end leaves something to be removed from this machine.
    untidy: Mutex<Vec<Weak<Process>>>,
}

/// How a Keep's process must be confined. A program inside is machine code of whoever
/// deployed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// By namespaces: it has a file system of its own.
    Namespaces,
    /// As well as the machine permits: without namespaces it can open what its user can.
    BestEffort,
}

impl LocalLauncher {
    /// A launcher that keeps the Keep image and the simulator's keys in the user's
    /// directories.
    ///
    /// # Errors
    ///
    /// When the user has no such directories.
    pub fn new(confinement: Confinement, note: Note) -> anyhow::Result<Self> {
        let image_cache = directories::cache()?.join("images");
        Ok(Self {
            backends: enarx_host_launcher::backends(Directories {
                images: Some(&image_cache),
                signatures: Some(&directories::state()?.join("sgx")),
                snp: Some(&directories::state()?.join("snp")),
            }),
            simulator_directory: directories::state()?.join("simulator"),
            secure_processor: Mutex::new(None),
            confinement,
            fast: false,
            note,
            untidy: Mutex::default(),
        })
    }

    /// The same launcher, with simulated enclaves that are patched after they were measured if
    /// `fast` says so.
    pub fn with_fast_enclaves(mut self, fast: bool) -> Self {
        self.fast = fast;
        self
    }

    /// Begins with what `order`, for a simulated Keep, will take, before it is given. What goes
    /// wrong is for the launch to say.
    pub fn prepare(self: &Arc<Self>, order: &LaunchOrder) {
        let Ok(platform) = order.backend.parse() else {
            return;
        };
        if let Some(backend) = self.backend(platform) {
            backend.prepare(&request(order, &keep_image(), None));
        }
        let is_amd = !matches!(platform, Platform::Sgx | Platform::Tdx);
        if is_amd && SecureProcessor::is_made(&self.simulator_directory) {
            let launcher = Arc::clone(self);
            // Without a thread for it, the launch does it.
            let _ = Builder::new().spawn(move || drop(launcher.secure_processor()));
        }
    }

    fn backend(&self, platform: Platform) -> Option<&dyn Backend> {
        self.backends
            .iter()
            .map(AsRef::as_ref)
            .find(|backend| backend.platform() == platform)
    }

    fn secure_processor(&self) -> Result<Arc<SecureProcessor>, LaunchRefusal> {
        // Nothing panics while it holds this lock.
        let mut opened = self
            .secure_processor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(processor) = &*opened {
            return Ok(processor.clone());
        }
        let announce = || {
            (self.note)(
                "making a simulated AMD secure processor; this happens once and takes seconds",
            );
        };
        let processor = SecureProcessor::open_announcing(&self.simulator_directory, announce)
            .map_err(|error| LaunchRefusal::Failed(with_sources(&error)))?;
        Ok(opened.insert(Arc::new(processor)).clone())
    }
}

impl KeepLauncher for LocalLauncher {
    fn backends(&self) -> Vec<api::BackendInfo> {
        probes()
            .into_iter()
            .filter_map(|probe| {
                let platform: Platform = probe.backend.parse().ok()?;
                Some(api::BackendInfo {
                    name: probe.backend.to_owned(),
                    hardware: probe.works && !matches!(platform, Platform::Process | Platform::Kvm),
                    simulation: can_simulate(platform),
                })
            })
            .collect()
    }

    fn is_quick(&self, order: &LaunchOrder) -> bool {
        // A confidential VM's host takes as long as it likes for the VM's reports.
        if order.backend == Platform::Cvm.as_str() {
            return false;
        }
        // A simulated Intel machine takes milliseconds.
        let is_intel = [Platform::Sgx, Platform::Tdx]
            .iter()
            .any(|platform| order.backend == platform.as_str());
        !order.simulate || is_intel || SecureProcessor::is_made(&self.simulator_directory)
    }

    fn launch(&self, order: &LaunchOrder) -> Result<LaunchedKeep, LaunchRefusal> {
        let platform: Platform = order
            .backend
            .parse()
            .map_err(|_| LaunchRefusal::UnknownBackend)?;
        let backend = self.backend(platform).ok_or_else(|| {
            LaunchRefusal::Unavailable(format!(
                "the backend `{platform}` is not in this version; `enarx platform` shows which are"
            ))
        })?;
        let processor;
        let simulator = match (order.simulate, platform) {
            (false, _) => None,
            (true, Platform::Sgx | Platform::Tdx) => {
                if self.fast && platform == Platform::Sgx {
                    (self.note)(
                        "the simulator patches the enclave after it was measured: quicker, and \
                         less like hardware",
                    );
                }
                Some(Simulator::IntelMachine {
                    directory: &self.simulator_directory,
                    fast: self.fast,
                })
            }
            (true, _) => {
                processor = self.secure_processor()?;
                Some(Simulator::SecureProcessor(&processor))
            }
        };
        let launched = backend
            .launch(&request(order, &keep_image(), simulator))
            .map_err(refusal)?;
        let process = Arc::new(Process(launched.process));
        if let Isolation::Directory { reason, .. } = &launched.isolation {
            if self.confinement == Confinement::Namespaces {
                // Dropping it ends it.
                return Err(LaunchRefusal::Unavailable(format!(
                    "this machine does not permit the namespaces that confine a Keep ({reason}); \
                     the host's operator can accept that with --without-namespaces"
                )));
            }
            let mut untidy = self.untidy.lock().unwrap_or_else(PoisonError::into_inner);
            untidy.retain(|other| other.strong_count() > 0);
            untidy.push(Arc::downgrade(&process));
        }
        Ok(LaunchedKeep {
            channel: launched.channel,
            endorsements: launched.endorsements.into_iter().map(endorsement).collect(),
            process,
        })
    }
}

impl Drop for LocalLauncher {
    /// A command does not wait for its Keep's process to be gone when the program has
    /// ended, unless something would be left behind.
    fn drop(&mut self) {
        let untidy = self
            .untidy
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for process in untidy.iter().filter_map(Weak::upgrade) {
            process.kill();
            process.wait();
        }
    }
}

/// `order` for a backend.
fn request<'a>(
    order: &LaunchOrder,
    image: &'a KeepImage<'a>,
    simulator: Option<Simulator<'a>>,
) -> LaunchRequest<'a> {
    LaunchRequest {
        image,
        memory_bytes: order.memory_bytes,
        strategy: MemoryStrategy::bounded_if(order.bounded_memory),
        cpu_seconds: order.cpu_seconds,
        network: order.network,
        host_data: order.host_data,
        simulator,
    }
}

/// Whether this program can run a Keep of this kind with a simulator.
pub fn can_simulate(platform: Platform) -> bool {
    match platform {
        Platform::Process => true,
        Platform::Sgx => !keep_image().sgx.shim.is_empty(),
        Platform::Kvm | Platform::Snp | Platform::Tdx => !keep_image().vm.shim.is_empty(),
        Platform::Cvm => false,
    }
}

struct Process(enarx_host_launcher::KeepProcess);

impl KeepProcess for Process {
    fn kill(&self) {
        self.0.kill();
    }

    fn wait(&self) -> ProcessExit {
        let ended = self.0.wait();
        ProcessExit {
            success: ended.outcome == Outcome::Exited(0),
            description: describe(ended.outcome),
            diagnostics: ended.diagnostics,
        }
    }
}

/// The end of a process as a phrase.
fn describe(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exited(status) => format!("exited with status {status}"),
        Outcome::Signaled(signal) => format!("was killed by signal {signal}"),
        Outcome::CpuLimit => "used up its processor time".to_owned(),
        Outcome::ForbiddenCall => "made a forbidden system call".to_owned(),
        Outcome::Unknown => "ended in an unknown way".to_owned(),
    }
}

fn endorsement(endorsement: enarx_host_launcher::Endorsement) -> api::Endorsement {
    api::Endorsement {
        kind: match endorsement.kind {
            EndorsementKind::SnpVcek => api::EndorsementKind::SnpVcek,
            EndorsementKind::SnpAsk => api::EndorsementKind::SnpAsk,
            EndorsementKind::SnpArk => api::EndorsementKind::SnpArk,
            EndorsementKind::SnpCertificateTable => api::EndorsementKind::SnpCertificateTable,
            EndorsementKind::DcapRoot => api::EndorsementKind::DcapRoot,
            EndorsementKind::DcapTcbSigning => api::EndorsementKind::DcapTcbSigning,
            EndorsementKind::DcapTcbInfo => api::EndorsementKind::DcapTcbInfo,
            EndorsementKind::DcapQeIdentity => api::EndorsementKind::DcapQeIdentity,
            EndorsementKind::DcapRootRevocations => api::EndorsementKind::DcapRootRevocations,
            EndorsementKind::DcapPckRevocations => api::EndorsementKind::DcapPckRevocations,
        },
        bytes: endorsement.bytes,
    }
}

fn refusal(error: LaunchError) -> LaunchRefusal {
    match error {
        LaunchError::NoEvidenceSource
        | LaunchError::NoSgx
        | LaunchError::NoKvm(_)
        | LaunchError::NoSnp(_)
        | LaunchError::NoTdx(_)
        | LaunchError::NoShim
        | LaunchError::NoSimulatedVm
        | LaunchError::Tsm(_)
        | LaunchError::Unconfined(_) => LaunchRefusal::Unavailable(error.to_string()),
        LaunchError::MemoryTooSmall(_) => LaunchRefusal::Order(error.to_string()),
        other => LaunchRefusal::Failed(with_sources(&other)),
    }
}

/// An error with what caused it, where it does not say so itself.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
