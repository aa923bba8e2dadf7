//! The process: its descriptors, its end, its panics.

use std::{
    os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    panic,
    path::Path,
};

use enarx_wire_hostcall::{ATTESTATION_DEVICE, CHANNEL};

use crate::{channel::Channel, device::AttestationDevice, keep};

/// Runs the Keep in this process, from its descriptors to its exit.
pub fn main() {
    panic::set_hook(Box::new(|_| {
        // A panic's own message may quote the workload's data, and the host reads
        // this.
        eprintln!("enarx-keep: internal error");
        exit(ExitCode::Internal);
    }));
    let descriptors = take(CHANNEL).zip(take(ATTESTATION_DEVICE));
    let channel = descriptors.and_then(|(channel, device)| {
        let channel = Channel::new(channel).ok()?;
        Some((channel, AttestationDevice::new(device)))
    });
    let Some((channel, device)) = channel else {
        eprintln!("enarx-keep: started without its channel or its attestation device");
        exit(ExitCode::NotAKeep);
    };
    exit(keep::run(channel, device, Path::new(FILE_TREE)));
}

/// What the host learns from the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ExitCode {
    /// The owner was sent the authenticated end of the session.
    Ended = 0,
    /// A descriptor is missing.
    NotAKeep = 64,
    /// It ended before it was provisioned.
    Unprovisioned = 65,
    /// The host closed or stalled the channel.
    HostGone = 66,
    /// A bug.
    Internal = 70,
}

/// Ends the process at once, whatever its other threads do.
pub fn exit(code: ExitCode) -> ! {
    // Whoever was woken by the last words may have been put on this processor, and would wait there
    // while the kernel takes this process apart.
    std::thread::yield_now();
    // SAFETY: always safe to call; nothing that is skipped (destructors, exit
    // handlers) matters, since the kernel or the shim takes everything back.
    unsafe { libc::_exit(code as i32) }
}

/// The root of the workload's file tree, made in the working directory. That is in
/// the Keep's memory: the shim's own file system, or one of the launcher's.
const FILE_TREE: &str = "keep";

/// The descriptor that the Keep was started with, if it is open.
fn take(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: borrowed only to ask whether it is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    rustix::io::fcntl_getfd(borrowed).ok()?;
    // SAFETY: open, and nothing else in this process owns it: it was inherited, and
    // this is called once for each descriptor, before anything else is opened.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
