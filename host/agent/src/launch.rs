//! What the service needs of a launcher.

use std::{os::unix::net::UnixStream, sync::Arc};

use enarx_wire_host_api::{BackendInfo, Endorsement, HOST_DATA_SIZE};

use crate::ServiceError;

/// Starts Keeps.
pub trait KeepLauncher: Send + Sync + 'static {
    /// Every backend, and what it can do here.
    fn backends(&self) -> Vec<BackendInfo>;

    /// Whether [`KeepLauncher::launch`] takes no more than a few milliseconds for this
    /// order. A service that has one thread anyway then launches there: another
    /// one would have to be made first.
    fn is_quick(&self, order: &LaunchOrder) -> bool {
        let _ = order;
        false
    }

    /// Starts a Keep. It may block; the service calls it on a thread for that, which
    /// may end any time after: a Keep must not be bound to the life of the thread
    /// (`PR_SET_PDEATHSIG`), only to that of the process.
    ///
    /// # Errors
    ///
    /// [`LaunchRefusal`] says what stood in the way.
    fn launch(&self, order: &LaunchOrder) -> Result<LaunchedKeep, LaunchRefusal>;
}

/// Which Keep to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOrder {
    /// The backend's name.
    pub backend: String,
    /// Whether a simulated TEE shall stand in for the real one.
    pub simulate: bool,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Whether compiled code checks every access to it.
    pub bounded_memory: bool,
    /// CPU time after which the Keep is ended, in seconds.
    pub cpu_seconds: Option<u64>,
    /// Whether it can use the host's network.
    pub network: bool,
    /// What the evidence carries beside the measurement.
    pub host_data: [u8; HOST_DATA_SIZE],
}

/// A Keep that was started.
pub struct LaunchedKeep {
    /// The host's end of the channel (`wire/hostcall`).
    pub channel: UnixStream,
    /// Certificates for its evidence.
    pub endorsements: Vec<Endorsement>,
    /// The process that is, or that runs, the Keep. Dropping it kills the Keep.
    pub process: Arc<dyn KeepProcess>,
}

/// The process behind a Keep.
pub trait KeepProcess: Send + Sync {
    /// Ends it at once, unless it has ended.
    fn kill(&self);

    /// Blocks until it has ended.
    fn wait(&self) -> ProcessExit;
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessExit {
    /// Whether it ended by itself and reported success.
    pub success: bool,
    /// The end as a phrase: `exited with status 1`, `was killed by signal 9`.
    pub description: String,
    /// What it wrote to its diagnostics, bounded by the launcher.
    pub diagnostics: String,
}

/// Why no Keep was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchRefusal {
    /// No backend has this name.
    #[error("no backend has this name")]
    UnknownBackend,
    /// The order is one that the backend never takes; says why.
    #[error("{0}")]
    Order(String),
    /// The backend cannot do this here; says what is missing and the remedy.
    #[error("{0}")]
    Unavailable(String),
    /// The backend tried and did not succeed; says why.
    #[error("{0}")]
    Failed(String),
}

impl LaunchRefusal {
    /// What callers are told who asked for `backend`.
    pub(crate) fn into_error(self, backend: &str) -> ServiceError {
        match self {
            Self::UnknownBackend => ServiceError::UnknownBackend(backend.into()),
            Self::Order(reason) => ServiceError::Order(reason),
            Self::Unavailable(reason) => ServiceError::BackendUnavailable(reason),
            Self::Failed(reason) => ServiceError::LaunchFailed(reason),
        }
    }
}
