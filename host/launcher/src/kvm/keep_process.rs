//! The process that runs a Keep's virtual machine.
//!
//! ```text
//! order (descriptor 4) -> memory -> machine -> confined -> report -> threads
//! ```
//!
//! From the report on, descriptor 4 is the attestation device.

use std::ffi::CStr;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use enarx_wire_hostcall::{ATTESTATION_DEVICE, CHANNEL, DIAGNOSTICS};
use enarx_wire_launch::vm::{GuestPages, SnpProcessors, layout};
use enarx_wire_launch::{KeepImage, KeepMemory, Platform};

use super::launch::{SnpLaunch, TdxLaunch};
use super::machine::{HardwareTee, Machine};
use super::order::Order;
use super::played::playable;
use super::run::MachineKeep;
use super::services::{DeviceEvidence, MachineServices};
use super::software;
use crate::child::{self, ChildStep, Program};
use crate::service::{STOPPED_STATUS, Services, Threads, begin_clock};
use crate::snp::GUEST_POLICY;

/// The name by which a program knows that it is to be a machine's process.
pub(crate) const NAME: &CStr = c"enarx-kvm-keep";

/// What became of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// It is made and is being run.
    Running,
    /// It was not made; the diagnostics say why.
    Failed,
    /// The process could not be confined.
    NotConfined {
        /// Code of the step that failed.
        step: u8,
        /// Error number.
        error: i32,
    },
}

impl Report {
    /// Bytes of an encoded report.
    pub(super) const SIZE: usize = 6;

    fn encode(self) -> [u8; Self::SIZE] {
        let (kind, step, error) = match self {
            Self::Running => (0, 0, 0),
            Self::Failed => (1, 0, 0),
            Self::NotConfined { step, error } => (2, step, error),
        };
        let [a, b, c, d] = error.to_ne_bytes();
        [kind, step, a, b, c, d]
    }

    pub(super) fn decode([kind, step, error @ ..]: [u8; Self::SIZE]) -> Option<Self> {
        match kind {
            0 => Some(Self::Running),
            1 => Some(Self::Failed),
            2 => Some(Self::NotConfined {
                step,
                error: i32::from_ne_bytes(error),
            }),
            _ => None,
        }
    }
}

/// Runs the Keep to its end; gives the status of the process.
pub(crate) fn run(image: &KeepImage<'_>) -> i32 {
    begin_clock();
    // SAFETY: the launcher has opened these descriptors, and nothing in this process, which has
    // only begun, knows of them.
    let (diagnostics, channel, mut launcher) = unsafe {
        (
            OwnedFd::from_raw_fd(DIAGNOSTICS),
            OwnedFd::from_raw_fd(CHANNEL),
            UnixStream::from_raw_fd(ATTESTATION_DEVICE),
        )
    };
    let mut order = [0; Order::SIZE];
    if launcher.read_exact(&mut order).is_err() {
        return STOPPED_STATUS;
    }
    let order = Order::decode(&order).map_err(|error| error.to_string());
    let built = order.and_then(|order| Ok((build(image, &order, &launcher)?, order.network)));
    let (machine, network) = match built {
        Ok(built) => built,
        Err(reason) => {
            // The launcher sees the end of the process, if it does not hear this.
            let _ = rustix::io::write(diagnostics.as_fd(), reason.as_bytes());
            let _ = launcher.write_all(&Report::Failed.encode());
            return STOPPED_STATUS;
        }
    };
    // The first process of a namespace has this number in it.
    let namespaces = std::process::id() == 1;
    let file_system = namespaces.then_some(FILE_SYSTEM_SIZE);
    let report = match child::confine(Program::MachineHost { network }, file_system) {
        Ok(()) => Report::Running,
        Err((step, error)) => not_confined(step, &error),
    };
    if launcher.write_all(&report.encode()).is_err() || report != Report::Running {
        return STOPPED_STATUS;
    }
    let technology = MachineServices::new(DeviceEvidence::new(launcher), machine.private());
    let threads = layout::PROCESSORS;
    // All that can be missing are descriptors for the threads to wait at.
    let technology = Box::new(technology);
    let Ok(services) = Services::new(technology, channel, diagnostics, threads, network) else {
        return STOPPED_STATUS;
    };
    Threads::new(MachineKeep { machine, services }, threads, |status| {
        // SAFETY: ends this process at once. Other threads may be in the machine: nothing
        // waits for them, and nothing that runs at a process's regular end is needed.
        unsafe { libc::_exit(status) }
    })
    .run_first();
    STOPPED_STATUS
}

/// Size in bytes of the file system that the process is left with, in which nothing is ever
/// written.
const FILE_SYSTEM_SIZE: u64 = 1 << 20;

fn not_confined(step: ChildStep, error: &io::Error) -> Report {
    Report::NotConfined {
        step: step as u8,
        error: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

fn build(image: &KeepImage<'_>, order: &Order, device: &UnixStream) -> Result<Machine, String> {
    let page = &order.page;
    let memory = KeepMemory {
        bytes: page.memory_bytes,
        strategy: page.memory,
    };
    if order.hardware {
        let pages = GuestPages::new(page.platform, image, memory);
        let pages = pages.map_err(|error| error.to_string())?;
        let tee = match page.platform {
            Platform::Tdx => HardwareTee::Tdx(TdxLaunch {
                host_data: order.host_data,
            }),
            _ => HardwareTee::Snp(SnpLaunch {
                policy: GUEST_POLICY,
                processors: SnpProcessors::default(),
                host_data: order.host_data,
                identity: order.identity.as_ref(),
            }),
        };
        return Machine::in_tee(image, &pages, page.memory_bytes, &tee)
            .map_err(|error| error.to_string());
    }
    // One of the two asks it: the Keep where it has no TEE, or the TEE.
    let tee = device
        .try_clone()
        .and_then(|device| playable(page.platform, DeviceEvidence::new(device)))
        .map_err(|error| error.to_string())?;
    let pages = match tee {
        Some(_) => GuestPages::played(page.platform, image, memory),
        None => GuestPages::new(page.platform, image, memory),
    }
    .map_err(|error| error.to_string())?;
    Machine::new(image, &pages, page.memory_bytes, software::body_ring(), tee)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_stream() {
        for report in [
            Report::Running,
            Report::Failed,
            Report::NotConfined { step: 3, error: 13 },
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode([3, 0, 0, 0, 0, 0]), None);
    }
}
