//! Launching Keeps in enclaves.

use std::os::unix::net::UnixStream;
use std::path::Path;

use enarx_wire_launch::sgx::{EnclaveOptions, EnclavePages};
use enarx_wire_launch::{MemoryStrategy, Platform};

use super::aesm::{self, Aesm};
use super::configuration::{self, Configuration, Quotes, Report, SimulatedMachine};
use super::sigstructs::SigstructStore;
use super::{hardware, keep_process, remote_quoting};
use crate::backend::{Backend, Endorsement, LaunchRequest};
use crate::child::{self, Beginning, ChildStep, Workplace};
use crate::keep::{KeepProcess, LaunchedKeep};
use crate::keep_process::KeepProcesses;
use crate::{Isolation, LaunchError, Simulator, simulated};

/// Runs Keeps in SGX enclaves, each in a process of its own.
#[derive(Debug)]
pub struct SgxBackend {
    sigstructs: SigstructStore,
    processes: KeepProcesses,
    namespaces: bool,
    /// What makes quotes, if somebody has chosen it.
    quoting: Option<Aesm>,
}

impl SgxBackend {
    /// A backend that keeps the key that signs its enclaves, and its signatures, in the
    /// private directory `signatures`; without one, it makes a key when it needs one.
    #[must_use]
    pub fn new(signatures: Option<&Path>) -> Self {
        Self {
            sigstructs: SigstructStore::new(signatures),
            processes: KeepProcesses::new(keep_process::NAME),
            namespaces: true,
            quoting: None,
        }
    }

    /// The same backend that has this service make quotes, also of simulated enclaves. By
    /// default hardware's are made by Intel's at [`aesm::SOCKET`], and the simulator's by the
    /// simulator.
    #[must_use]
    pub fn with_quoting(mut self, service: Aesm) -> Self {
        self.quoting = Some(service);
        self
    }

    /// The same backend that does without namespaces, as it does by itself where
    /// the host does not permit them.
    #[must_use]
    pub fn without_namespaces(mut self) -> Self {
        self.namespaces = false;
        self
    }
}

impl Backend for SgxBackend {
    fn platform(&self) -> Platform {
        Platform::Sgx
    }

    fn prepare(&self, request: &LaunchRequest<'_>) {
        if self.namespaces && !request.image.sgx.shim.is_empty() {
            self.processes.prepare(request);
        }
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        let simulator = match request.simulator {
            Some(Simulator::IntelMachine { directory, fast }) => Some((directory, fast)),
            Some(Simulator::SecureProcessor(_)) => return Err(LaunchError::NoSgx),
            None if hardware::is_there() => None,
            None => return Err(LaunchError::NoSgx),
        };
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        if request.image.sgx.shim.is_empty() {
            return Err(LaunchError::NoShim);
        }
        let reason = if self.namespaces {
            let process = self.processes.in_namespaces(request)?;
            match self.start(request, simulator, process, true) {
                Ok(started) => return Ok(launched(started, Isolation::Namespaces)),
                Err(error) => child::not_permitted(&error).ok_or(error)?,
            }
        } else {
            "namespaces were switched off".to_owned()
        };
        tracing::warn!(reason, "running a Keep without namespaces");
        let workplace = Workplace::directory()?;
        let path = workplace.path().to_owned();
        let process = self.processes.begin(request, workplace)?;
        let started = self.start(request, simulator, process, false)?;
        Ok(launched(started, Isolation::Directory { path, reason }))
    }
}

/// A machine that is simulated: the directory of its state, and whether enclaves are patched.
type Simulated<'a> = Option<(&'a Path, bool)>;

/// What has begun: the Keep's channel, its process, and what its quotes are verified with.
type Begun = (UnixStream, KeepProcess, Vec<Endorsement>);

impl SgxBackend {
    /// Starts `process` and waits until its enclave is entered.
    fn start(
        &self,
        request: &LaunchRequest<'_>,
        simulator: Simulated<'_>,
        process: Beginning,
        namespaces: bool,
    ) -> Result<Begun, LaunchError> {
        let started = process.finish(None)?;
        let stream = started.device.ok_or(LaunchError::NotPrepared)?;
        // It takes the process milliseconds to listen, and as many to measure the enclave.
        let configured = self.configuration(request, simulator, namespaces);
        let (configuration, endorsements) = configured.inspect_err(|_| {
            started.process.kill();
            let _ = started.process.wait();
        })?;
        let report = configuration::send(&stream, &configuration)
            .and_then(|()| configuration::receive(&stream));
        match report {
            Ok(Some(Report::Running)) => {
                if configuration.quotes == Quotes::Launcher {
                    self.serve_quotes(stream)?;
                }
                Ok((started.channel, started.process, endorsements))
            }
            Ok(Some(Report::Failed(reason))) => Err(LaunchError::Enclave(reason)),
            Ok(Some(Report::NotConfined { step, error })) => Err(ChildStep::from_code(step)
                .map_or_else(
                    || LaunchError::Vanished("it was not confined".to_owned()),
                    |step| LaunchError::Child {
                        step,
                        source: std::io::Error::from_raw_os_error(error),
                    },
                )),
            Ok(None) | Err(_) => {
                // It says nothing more, whatever it does.
                started.process.kill();
                let ended = started.process.wait();
                Err(LaunchError::Vanished(format!(
                    "{:?}; {}",
                    ended.outcome,
                    ended.diagnostics.trim()
                )))
            }
        }
    }

    /// What the process is to make, and what the enclave's quotes are verified with.
    fn configuration(
        &self,
        request: &LaunchRequest<'_>,
        simulator: Simulated<'_>,
        namespaces: bool,
    ) -> Result<(Configuration, Vec<Endorsement>), LaunchError> {
        let options = EnclaveOptions::of_keep(request.memory());
        let pages = EnclavePages::new(request.image, options).map_err(LaunchError::Pages)?;
        let sigstruct = self
            .sigstructs
            .of_keep(pages.measure(), options.debug)
            .map_err(LaunchError::Signing)?;
        let endorsements = match simulator {
            Some((directory, _)) => endorsements(directory)?,
            // A quote carries its own certificates, and owners fetch the rest from Intel.
            None => Vec::new(),
        };
        let mut config_id = [0; 64];
        config_id[..request.host_data.len()].copy_from_slice(&request.host_data);
        let configuration = Configuration {
            memory_bytes: request.memory_bytes,
            bounded_memory: request.strategy == MemoryStrategy::Bounded,
            threads: options.threads,
            debug: options.debug,
            config_id: hex::encode(config_id),
            sigstruct: hex::encode(sigstruct.as_bytes()),
            simulator: simulator.map(|(directory, fast)| SimulatedMachine {
                directory: directory.to_owned(),
                fast,
            }),
            quotes: if simulator.is_some() && self.quoting.is_none() {
                Quotes::Simulator
            } else {
                Quotes::Launcher
            },
            network: request.network,
            namespaces,
        };
        Ok((configuration, endorsements))
    }

    /// Has a thread get the Keep's quotes until the Keep's process ends.
    fn serve_quotes(&self, stream: UnixStream) -> Result<(), LaunchError> {
        let service = match &self.quoting {
            Some(service) => service.clone(),
            None => Aesm::new(Path::new(aesm::SOCKET)),
        };
        std::thread::Builder::new()
            .name("keep-quotes".to_owned())
            .spawn(move || remote_quoting::serve(&stream, &service))
            .map_err(LaunchError::Thread)?;
        Ok(())
    }
}

fn launched((channel, process, endorsements): Begun, isolation: Isolation) -> LaunchedKeep {
    LaunchedKeep {
        channel,
        endorsements,
        isolation,
        process,
    }
}

/// What the simulated machine's quotes are verified with; makes the machine if there is none.
fn endorsements(directory: &Path) -> Result<Vec<Endorsement>, LaunchError> {
    let machine = simulated::open(directory)?;
    let found = machine.endorsements();
    let (tcb_info, qe_identity) = (&found.tcb_info, &found.qe_identity);
    Ok(simulated::machine_endorsements(
        &machine,
        tcb_info,
        qe_identity,
    ))
}
