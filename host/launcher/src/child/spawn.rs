//! Making the Keep's process.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use libc::sock_filter;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::pipe::PipeFlags;

use super::filter::IMAGE_DESCRIPTOR;
use super::step::{self, REPORT_SIZE};
use super::steps::{self, LOWEST_SOURCE, NAMESPACES, Plan, Root};
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
    pub name: &'static CStr,
    pub private_memory_bytes: Option<u64>,
    pub cpu_seconds: Option<u64>,
    pub filter: Option<&'static [sock_filter]>,
    pub stack: Stack,
}

/// A process that has become a Keep.
pub(super) struct Child {
    pub id: u32,
    pub pidfd: OwnedFd,
}

/// Bytes on their way to a Keep: two pieces of a package.
const CHANNEL_BUFFER: usize = 512 << 10;

/// Makes the streams of a Keep whose program is `image`.
pub(super) fn descriptors(image: &OwnedFd) -> io::Result<(Ours, Theirs)> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let (diagnostics, their_diagnostics) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&diagnostics, OFlags::NONBLOCK)?;
    let (report, their_report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (channel, their_channel) = UnixStream::pair()?;
    // As much as the system allows: less only makes large packages slower.
    let _ = set_socket_send_buffer_size(&channel, CHANNEL_BUFFER);
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
        name: preparation.name,
        private_memory_bytes: preparation.private_memory_bytes,
        cpu_seconds: preparation.cpu_seconds,
        filter: preparation.filter,
    };
    let stack = preparation.stack;
    // No handler of the embedding program may run in the child.
    block_signals();
    // SAFETY: the child only runs `become_keep`, with descriptors that were copied with
    // it, and signals are blocked.
    let child = unsafe { clone(&plan.root, stack, || steps::become_keep(&plan)) };
    let child = child.map_err(LaunchError::Clone)?;
    // Only the child holds its end of the report now, so its end can be seen.
    drop(preparation.descriptors);
    confirm(&child, report).map(|()| child)
}

/// Tries to make the namespaces that a Keep lives in.
pub(super) fn try_namespaces(root: &Root) -> Result<(), LaunchError> {
    let (report, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| LaunchError::Descriptors(error.into()))?;
    let before = block_signals();
    // SAFETY: the child only runs `try_root`, and signals are blocked.
    let child = unsafe {
        clone(root, Stack::new(), || {
            steps::try_root(root, theirs.as_raw_fd())
        })
    };
    set_signals(before);
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
            end(child.id, &child.pidfd);
            Err(LaunchError::Descriptors(error))
        }
    }
}

/// Ends a child that nobody wants, and collects it.
pub(super) fn end(id: u32, pidfd: &OwnedFd) {
    // Fails only if the child is gone already.
    let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    let _ = super::supervisor::collect(id);
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

/// Makes a process that runs `child` in the namespaces that `root` is about, and waits
/// until it has executed a program or ended.
///
/// The child borrows this thread's memory meanwhile, as with `vfork`: a copy of it
/// would take longer than all that the child does. `clone` itself and not `clone3`,
/// which containers often forbid.
///
/// # Safety
///
/// `child` runs beside all other threads in their memory: it does nothing but system
/// calls, and changes no memory but its own stack's. No handler of a signal may run
/// in it, so the caller has blocked all signals.
unsafe fn clone<C: Fn()>(root: &Root, mut stack: Stack, child: C) -> io::Result<Child> {
    extern "C" fn enter<C: Fn()>(child: *mut c_void) -> c_int {
        // SAFETY: the pointer passed below; its owner is suspended while this runs.
        let child = unsafe { &*child.cast::<C>() };
        child();
        // The C library ends the process with it.
        127
    }

    let namespaces = match root {
        Root::Namespaces { .. } | Root::NamespacesForProgram { .. } => NAMESPACES,
        Root::Directory(_) => 0,
    };
    let mut pidfd: c_int = -1;
    // SAFETY: the stack is aligned and as long as is said; CLONE_VFORK suspends this
    // thread until the child no longer uses it, `child` and `pidfd`.
    let id = unsafe {
        libc::clone(
            enter::<C>,
            stack.0.as_mut_ptr().add(stack.0.capacity()).cast(),
            namespaces | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            (&raw const child).cast_mut().cast(),
            &raw mut pidfd,
        )
    };
    if id < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Child {
        id: u32::try_from(id).map_err(io::Error::other)?,
        // SAFETY: clone succeeded, so it has put a new descriptor there.
        pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
    })
}

/// The stack of a child until it executes the runtime. The psABI wants it aligned to 16 bytes.
pub(super) struct Stack(Vec<u128>);

impl Stack {
    /// Far more bytes than a child's few calls take.
    const SIZE: usize = 64 << 10;

    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(Self::SIZE / size_of::<u128>()))
    }
}

/// Blocks all signals of this thread; gives those that were blocked before.
fn block_signals() -> u64 {
    set_signals(u64::MAX)
}

/// Blocks `blocked` and no other signal; gives those that were blocked before.
fn set_signals(blocked: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: the kernel's signal set is one 64-bit word; the call cannot fail with
    // these arguments.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const blocked,
            &raw mut before,
            size_of_val(&blocked),
        );
    }
    before
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
    match super::supervisor::collect(child.id) {
        Some((status, _)) => format!("wait status {status:#x}"),
        None => "its status is unknown".to_owned(),
    }
}
