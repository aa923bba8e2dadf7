//! A Keep's process: made, confined, and watched until it is gone.
//!
//! It is the child of a thread, which serves the Keep for its whole life and so is also what
//! the Keep's life is tied to (`PR_SET_PDEATHSIG` follows the thread, not the process).
//!
//! ```text
//! start() ── thread ── clone ──────────────► child: namespaces, empty root,
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
use std::sync::{Arc, mpsc};

use crate::device::Device;
use crate::keep::{KeepProcess, Life};
use crate::{LaunchError, LaunchRequest};

pub(crate) use filter::Program;
use spawn::Preparation;
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
    /// What serves its descriptor 4.
    pub device: Option<Device>,
    /// What is said on descriptor 4 before it is served, once the program runs.
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

/// Bytes of stack of a Keep's service thread.
const SERVICE_STACK: usize = 256 << 10;

/// Does what can be done before the first start of a runtime.
pub(crate) fn prepare() {
    filter::filter(Program::Runtime { network: false });
}

/// Makes a Keep's process, and waits until its program runs.
///
/// # Errors
///
/// [`LaunchError`] names the step that failed. Nothing is left behind then.
pub(crate) fn start(start: Start<'_>) -> Result<Started, LaunchError> {
    let (ours, theirs) = spawn::descriptors(start.program).map_err(LaunchError::Descriptors)?;
    let preparation = Preparation {
        descriptors: theirs,
        root: start.workplace.root(start.confinement),
        name: start.name,
        confinement: start.confinement,
        private_memory_bytes: start.private_memory_bytes,
        cpu_seconds: start.cpu_seconds,
        network: start.network,
    };
    let life = Arc::new(Life::default());
    let (served, unserved) = match start.device {
        Some(device) => (Some((device, ours.device)), None),
        None => (None, Some(ours.device)),
    };
    let introduction = start.introduction;
    let supervisor = Supervisor {
        device: served,
        diagnostics: ours.diagnostics,
        life: Arc::clone(&life),
        cpu_seconds: start.cpu_seconds,
        workplace: start.workplace,
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
                if let (Some(introduce), Some((_, stream))) = (introduction, &supervisor.device) {
                    introduce(stream);
                }
                supervisor.run(child.id, &pidfd);
            }
            Err(error) => {
                drop(supervisor);
                let _ = sender.send(Err(error));
            }
        })
        .map_err(LaunchError::Thread)?;
    match receiver.recv() {
        Ok(Ok((id, pidfd))) => Ok(Started {
            channel: ours.channel,
            device: unserved,
            process: KeepProcess::new(id, pidfd, life, thread),
        }),
        Ok(Err(error)) => Err(error),
        Err(mpsc::RecvError) => Err(LaunchError::Thread(io::Error::other(
            "it ended before the Keep started",
        ))),
    }
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
