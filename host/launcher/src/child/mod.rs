//! A Keep's process: made, confined, and watched until it is gone.
//!
//! It is the child of a thread, which serves the Keep for its whole life and so is also what
//! the Keep's life is tied to (`PR_SET_PDEATHSIG` follows the thread, not the process).
//!
//! ```text
//! begin() ─ thread ── clone ──────────────► child: namespaces, empty root,
//!    ▲          │                              descriptors 0-4, limits, filter,
//!    │          │ ◄── failed step, or end of    no capabilities, execveat
//!    │          │     file: the program runs
//!    └─ handle ─┤
//!               └─ serves attestation device and diagnostics, reaps
//! ```
//!
//! A program that needs files of the host before it turns into a Keep does the last steps by
//! itself: [`confine`].

mod filter;
mod prepared;
mod program;
mod spawn;
mod step;
mod steps;
mod supervisor;
mod workplace;

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use crate::device::Device;
use crate::keep::{KeepProcess, Life};
use crate::{LaunchError, LaunchRequest};

pub(crate) use filter::Program;
pub(crate) use prepared::Prepared;
use spawn::{Preparation, Stack};
pub use step::ChildStep;
pub(crate) use steps::confine;
use supervisor::Supervisor;
pub(crate) use workplace::Workplace;

/// What a Keep's process is made from.
pub(crate) struct Start<'a> {
    /// The program.
    pub program: &'a OwnedFd,
    /// Its name, the one argument that it gets.
    pub name: &'static CStr,
    /// Where it lives, and how it gets there.
    pub workplace: Workplace,
    /// Who takes the last steps.
    pub confinement: Confinement,
    /// Limit on its private memory in bytes.
    pub private_memory_bytes: Option<u64>,
    /// Limit on its processor time in seconds.
    pub cpu_seconds: Option<u64>,
    /// Whether it may use the host's network.
    pub network: bool,
}

/// What serves a process's descriptor 4.
pub(crate) struct Served {
    /// What answers.
    pub device: Device,
    /// What is said before that, once the program runs.
    pub introduction: Option<Introduction>,
}

/// Speaks to a Keep's process on the stream of its descriptor 4.
pub(crate) type Introduction = Box<dyn FnOnce(&UnixStream) + Send>;

/// Who confines a Keep's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// It is confined before the program begins.
    Before,
    /// The program, by [`confine`].
    ByProgram,
}

/// A Keep's process.
pub(crate) struct Started {
    /// The other end of its descriptor 3.
    pub channel: UnixStream,
    /// The other end of its descriptor 4, if no device serves it.
    pub device: Option<UnixStream>,
    /// Its life.
    pub process: KeepProcess,
}

/// A process that is being made. Dropping it ends the process, and waits until nothing is left of it.
#[derive(Debug)]
pub(crate) struct Beginning {
    channel: UnixStream,
    device: UnixStream,
    life: Arc<Life>,
    service: Service,
    made: Receiver<Result<(u32, Arc<OwnedFd>), LaunchError>>,
}

impl Beginning {
    /// Has the process served, and waits until its program runs.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] names the step that failed. Nothing is left behind then.
    pub(crate) fn finish(self, served: Option<Served>) -> Result<Started, LaunchError> {
        let (orders, unserved) = match served {
            Some(served) => (Some((served, self.device)), None),
            None => (None, Some(self.device)),
        };
        let thread = self.service.order(orders);
        match self.made.recv() {
            Ok(Ok((id, pidfd))) => Ok(Started {
                channel: self.channel,
                device: unserved,
                process: KeepProcess::new(id, pidfd, self.life, thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(LaunchError::Thread(io::Error::other(
                "it ended before the Keep started",
            ))),
        }
    }
}

/// The thread that makes a process and waits to hear what serves it. Dropping this ends both.
#[derive(Debug)]
struct Service(Option<(SyncSender<Orders>, JoinHandle<()>)>);

impl Service {
    /// Says what serves the process. The thread goes on with that, unless there is no process.
    fn order(mut self, orders: Orders) -> Option<JoinHandle<()>> {
        let (sender, thread) = self.0.take()?;
        let _ = sender.send(orders);
        Some(thread)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

/// What serves a process for its life, with the stream for it.
type Orders = Option<(Served, UnixStream)>;

/// Bytes of stack of a Keep's service thread.
const SERVICE_STACK: usize = 256 << 10;

/// Begins to make a Keep's process.
///
/// # Errors
///
/// [`LaunchError::Descriptors`], [`LaunchError::Thread`].
pub(crate) fn begin(start: Start<'_>) -> Result<Beginning, LaunchError> {
    let (ours, theirs) = spawn::descriptors(start.program).map_err(LaunchError::Descriptors)?;
    let preparation = Preparation {
        descriptors: theirs,
        root: start.workplace.root(start.confinement),
        name: start.name,
        private_memory_bytes: start.private_memory_bytes,
        cpu_seconds: start.cpu_seconds,
        filter: match start.confinement {
            Confinement::Before => Some(filter::filter(Program::Runtime {
                network: start.network,
            })),
            Confinement::ByProgram => None,
        },
        stack: Stack::new(),
    };
    let life = Arc::new(Life::default());
    let (orders, given) = mpsc::sync_channel::<Orders>(1);
    let (report, made) = mpsc::sync_channel(1);
    let supervised = Arc::clone(&life);
    let thread = std::thread::Builder::new()
        .name("keep".to_owned())
        .stack_size(SERVICE_STACK)
        .spawn(move || {
            let child = match spawn::spawn(preparation, &ours.report) {
                Ok(child) => child,
                Err(error) => {
                    drop(start.workplace);
                    // Whoever began it may be gone.
                    let _ = report.send(Err(error));
                    return;
                }
            };
            let pidfd = Arc::new(child.pidfd);
            let _ = report.send(Ok((child.id, Arc::clone(&pidfd))));
            let Ok(served) = given.recv() else {
                spawn::end(child.id, &pidfd);
                return;
            };
            let device = served.map(|(served, stream)| {
                if let Some(introduce) = served.introduction {
                    introduce(&stream);
                }
                (served.device, stream)
            });
            let supervisor = Supervisor {
                device,
                diagnostics: ours.diagnostics,
                life: supervised,
                cpu_seconds: start.cpu_seconds,
                workplace: start.workplace,
            };
            supervisor.run(child.id, &pidfd);
        })
        .map_err(LaunchError::Thread)?;
    Ok(Beginning {
        channel: ours.channel,
        device: ours.device,
        life,
        service: Service(Some((orders, thread))),
        made,
    })
}

/// Tries to make the namespaces of a Keep, and nothing else of it.
///
/// # Errors
///
/// [`LaunchError`] names the step that failed.
pub(crate) fn try_namespaces() -> Result<(), LaunchError> {
    let workplace = Workplace::namespaces(LaunchRequest::LEAST_MEMORY);
    spawn::try_namespaces(&workplace.root(Confinement::Before))
}

/// Why namespaces are not permitted, if that is what an error says.
pub(crate) fn not_permitted(error: &LaunchError) -> Option<String> {
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
