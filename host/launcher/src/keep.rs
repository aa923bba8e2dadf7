//! A running Keep as its host sees it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};

use crate::Endorsement;

/// A Keep that runs and holds nothing yet.
#[derive(Debug)]
pub struct LaunchedKeep {
    /// The stream to the Keep (`wire/hostcall` envelopes), in blocking mode.
    pub channel: UnixStream,
    /// The certificates that endorse the Keep's evidence, leaf first.
    pub endorsements: Vec<Endorsement>,
    /// How the Keep is kept apart from the host.
    pub isolation: Isolation,
    /// The Keep's life. Dropping it ends the Keep.
    pub process: KeepProcess,
}

/// How a Keep's process is kept apart from the rest of the host.
///
/// This protects the host from the Keep. It never protects the Keep from the
/// host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// Own user, process, mount, IPC and host-name namespaces; the root
    /// directory is an empty file system in memory.
    Namespaces,
    /// The host permits no namespaces: the Keep's working directory is a private
    /// one in memory, which is removed when the Keep ends, and only the
    /// system-call filter and the Keep's user keep it from other files.
    Directory {
        /// The Keep's working directory.
        path: PathBuf,
        /// Why there are no namespaces, and how to permit them.
        reason: String,
    },
}

/// A handle on a Keep's process.
///
/// Dropping it kills the Keep if it still runs, waits until the system has let go of
/// it, and removes everything that was made for it.
#[derive(Debug)]
pub struct KeepProcess {
    id: u32,
    pidfd: Arc<OwnedFd>,
    life: Arc<Life>,
    service: Option<JoinHandle<()>>,
}

impl KeepProcess {
    pub(crate) fn new(
        id: u32,
        pidfd: Arc<OwnedFd>,
        life: Arc<Life>,
        service: Option<JoinHandle<()>>,
    ) -> Self {
        Self {
            id,
            pidfd,
            life,
            service,
        }
    }

    /// The process id on the host.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Kills the Keep. Does nothing if it has ended.
    pub fn kill(&self) {
        self.life.killed.store(true, Ordering::SeqCst);
        // The one way in which this fails is that the process is gone.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Blocks until the Keep has ended.
    #[must_use]
    pub fn wait(&self) -> Ended {
        self.life.wait()
    }

    /// What [`wait`](Self::wait) returns, if the Keep has ended.
    #[must_use]
    pub fn try_wait(&self) -> Option<Ended> {
        self.life.lock().clone()
    }

    /// A descriptor that polls readable when the Keep's process has ended, for use
    /// in an event loop. [`wait`](Self::wait) blocks only for moments from then on.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for KeepProcess {
    fn drop(&mut self) {
        self.kill();
        if let Some(service) = self.service.take() {
            // A panic of the service thread has been printed; there is nobody
            // left to tell.
            let _ = service.join();
        }
    }
}

/// How a Keep ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How its process ended.
    pub outcome: Outcome,
    /// What it wrote to its diagnostics stream: the first 64 KiB, with bytes that
    /// are not UTF-8 replaced.
    pub diagnostics: String,
    /// Whether diagnostics were left out.
    pub diagnostics_truncated: bool,
    /// Processor time that it used.
    pub cpu_time: Duration,
}

/// How a Keep's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this status. What the *application* answered arrives
    /// encrypted on the channel; this is the runtime's own status.
    Exited(i32),
    /// A signal with this number ended it.
    Signaled(i32),
    /// It used up the processor time that it was given.
    CpuLimit,
    /// It did something that no runtime does, and the system-call filter stopped it.
    ForbiddenCall,
    /// The system gave no answer, because the embedding program ignores or
    /// collects the endings of processes that are not its own.
    Unknown,
}

/// Bytes of diagnostics that are kept.
pub(crate) const MAX_DIAGNOSTICS: usize = 64 << 10;

/// Where the end of a Keep is published by the thread that serves it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    ended: Mutex<Option<Ended>>,
    changed: Condvar,
    /// Whether the handle was used to kill it.
    killed: AtomicBool,
}

impl Life {
    pub(crate) fn end(&self, ended: Ended) {
        *self.lock() = Some(ended);
        self.changed.notify_all();
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    fn wait(&self) -> Ended {
        let mut guard = self.lock();
        loop {
            if let Some(ended) = &*guard {
                return ended.clone();
            }
            guard = self
                .changed
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
