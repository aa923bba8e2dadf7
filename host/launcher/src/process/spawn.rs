//! Making the Keep's process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::child::{self, LOWEST_SOURCE, NAMESPACES, Plan, Root};
use super::filter::{self, IMAGE_DESCRIPTOR};
use super::step::{self, REPORT_SIZE};
use crate::LaunchError;

/// The host's ends of a Keep's streams.
pub(super) struct Ours {
    pub channel: UnixStream,
    pub device: UnixStream,
    /// Never blocks.
    pub diagnostics: OwnedFd,
    /// Where the child reports a failed step.
    pub report: OwnedFd,
}

/// The Keep's ends.
pub(super) struct Theirs {
    null: OwnedFd,
    diagnostics: OwnedFd,
    channel: OwnedFd,
    device: OwnedFd,
    image: OwnedFd,
    report: OwnedFd,
}

/// All that is needed to make a process.
pub(super) struct Preparation {
    pub descriptors: Theirs,
    pub root: Root,
    pub memory_bytes: u64,
    pub cpu_seconds: Option<u64>,
}

/// A process that has become a Keep.
pub(super) struct Child {
    pub id: u32,
    pub pidfd: OwnedFd,
}

/// Makes the streams of a Keep whose runtime is `image`.
pub(super) fn descriptors(image: &OwnedFd) -> io::Result<(Ours, Theirs)> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let (diagnostics, their_diagnostics) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&diagnostics, OFlags::NONBLOCK)?;
    let (report, their_report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (channel, their_channel) = UnixStream::pair()?;
    let (device, their_device) = UnixStream::pair()?;
    let ours = Ours {
        channel,
        device,
        diagnostics,
        report,
    };
    let theirs = Theirs {
        null: raised(null)?,
        diagnostics: raised(their_diagnostics)?,
        channel: raised(their_channel)?,
        device: raised(their_device)?,
        image: raised(image)?,
        report: raised(their_report)?,
    };
    Ok((ours, theirs))
}

/// Makes the process and waits until the runtime runs in it.
///
/// To be called by the thread that lives as long as the Keep: the system kills the
/// Keep when this thread ends.
pub(super) fn spawn(preparation: Preparation, report: &OwnedFd) -> Result<Child, LaunchError> {
    let theirs = &preparation.descriptors;
    let null = theirs.null.as_raw_fd();
    let plan = Plan {
        standard: [
            null,
            null,
            theirs.diagnostics.as_raw_fd(),
            theirs.channel.as_raw_fd(),
            theirs.device.as_raw_fd(),
        ],
        image: theirs.image.as_raw_fd(),
        report: theirs.report.as_raw_fd(),
        root: preparation.root,
        memory_bytes: preparation.memory_bytes,
        cpu_seconds: preparation.cpu_seconds,
        filter: filter::filter(),
    };
    // No handler of the embedding program may run in the child.
    block_signals();
    // SAFETY: the child only runs `become_keep`, with descriptors that were copied with it.
    let child = unsafe { clone(&plan.root, || child::become_keep(&plan)) };
    let child = child.map_err(LaunchError::Clone)?;
    // Only the child holds its end of the report now, so its end can be seen.
    drop(preparation.descriptors);
    confirm(&child, report).map(|()| child)
}

/// Tries to make the namespaces that a Keep lives in.
pub(super) fn try_namespaces(root: &Root) -> Result<(), LaunchError> {
    let (report, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| LaunchError::Descriptors(error.into()))?;
    // SAFETY: the child only runs `try_root`. No signal handler that expects other threads
    // or shared memory can do harm in it: it ends within a few system calls.
    let child = unsafe { clone(root, || child::try_root(root, theirs.as_raw_fd())) };
    let child = child.map_err(LaunchError::Clone)?;
    drop(theirs);
    confirm(&child, &report)?;
    reap(&child);
    Ok(())
}

/// Waits until a child has passed its steps. A child that has not is collected.
fn confirm(child: &Child, report: &OwnedFd) -> Result<(), LaunchError> {
    match read_report(report) {
        Ok(None) => Ok(()),
        Ok(Some(bytes)) => {
            let status = reap(child);
            Err(match step::decode_report(bytes) {
                Some((step, source)) => LaunchError::Child { step, source },
                None => LaunchError::Vanished(status),
            })
        }
        Err(error) => {
            // Fails only if the child is gone already.
            let _ = rustix::process::pidfd_send_signal(&child.pidfd, rustix::process::Signal::KILL);
            reap(child);
            Err(LaunchError::Descriptors(error))
        }
    }
}

/// Copies a descriptor to a number that is none of the child's.
fn raised(descriptor: impl AsFd) -> io::Result<OwnedFd> {
    let copy = rustix::io::fcntl_dupfd_cloexec(&descriptor, LOWEST_SOURCE)?;
    if copy.as_raw_fd() == IMAGE_DESCRIPTOR {
        return Ok(rustix::io::fcntl_dupfd_cloexec(
            &descriptor,
            IMAGE_DESCRIPTOR + 1,
        )?);
    }
    Ok(copy)
}

/// Makes a process that runs `child`, in the namespaces that `root` is about.
///
/// `clone` itself and not the C library's `fork`: handlers that were registered for a fork
/// would take locks in the child. Not `clone3`, which containers often forbid.
///
/// # Safety
///
/// `child` runs in a copy of a process that may have had many threads: it does
/// nothing but system calls, and does not return.
unsafe fn clone(root: &Root, child: impl FnOnce()) -> io::Result<Child> {
    let namespaces = match root {
        Root::Namespaces { .. } => NAMESPACES,
        Root::Directory(_) => 0,
    };
    let mut pidfd: libc::c_int = -1;
    // SAFETY: without CLONE_VM the child has a copy of all memory and its own stack, as
    // after fork. `pidfd` outlives the call.
    let id = unsafe {
        libc::syscall(
            libc::SYS_clone,
            namespaces | libc::CLONE_PIDFD | libc::SIGCHLD,
            std::ptr::null_mut::<libc::c_void>(),
            &raw mut pidfd,
            0,
            0,
        )
    };
    match id {
        0 => {
            child();
            // Whatever happens, no code of the parent may run in the child.
            std::process::abort()
        }
        id if id > 0 => Ok(Child {
            id: u32::try_from(id).map_err(io::Error::other)?,
            // SAFETY: clone succeeded, so it has put a new descriptor there.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Blocks all signals of this thread.
fn block_signals() {
    let all = u64::MAX;
    // SAFETY: the kernel's signal set is one 64-bit word; the call cannot fail with
    // these arguments.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            std::ptr::null::<u64>(),
            size_of_val(&all),
        );
    }
}

/// Waits for a failure report; `None` if the runtime was executed instead.
fn read_report(report: &OwnedFd) -> io::Result<Option<[u8; REPORT_SIZE]>> {
    let mut bytes = [0; REPORT_SIZE];
    loop {
        // One write of few bytes into a pipe arrives whole (pipe(7)).
        match rustix::io::read(report, &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(bytes)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Collects a child that did not become a Keep.
fn reap(child: &Child) -> String {
    match super::service::collect(child.id) {
        Some((status, _)) => format!("wait status {status:#x}"),
        None => "its status is unknown".to_owned(),
    }
}
