//! The steps of the child, and how a failed one is told to the parent.

use std::io;

/// A step of the child between `clone` and the runtime's first instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ChildStep {
    /// Reset inherited signal dispositions and masks.
    Signals = 1,
    /// Map its user in its user namespace.
    MapUser,
    /// Mount its empty root.
    MountRoot,
    /// Enter its root and leave the host's.
    EnterRoot,
    /// Enter its private directory.
    EnterDirectory,
    /// Put its descriptors in place.
    Descriptors,
    /// Limit its resources.
    Limits,
    /// Leave the launcher's session.
    Session,
    /// Drop all capabilities.
    Capabilities,
    /// Tie its life to the launcher's.
    ParentDeath,
    /// Give up gaining privileges.
    NoNewPrivileges,
    /// Install the system-call filter.
    Filter,
    /// Execute the runtime.
    Execute,
}

impl ChildStep {
    const ALL: [Self; 13] = [
        Self::Signals,
        Self::MapUser,
        Self::MountRoot,
        Self::EnterRoot,
        Self::EnterDirectory,
        Self::Descriptors,
        Self::Limits,
        Self::Session,
        Self::Capabilities,
        Self::ParentDeath,
        Self::NoNewPrivileges,
        Self::Filter,
        Self::Execute,
    ];

    /// What to do about a failure of this step.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::MapUser | Self::MountRoot | Self::EnterRoot => {
                "check that /proc is mounted and the host permits mounts in user namespaces"
            }
            Self::EnterDirectory => "check that /dev/shm is writable",
            Self::Descriptors | Self::Limits => {
                "raise the hard limit on open files (ulimit -Hn) to at least 2048, and the other limits to what the Keep was given"
            }
            Self::NoNewPrivileges | Self::Filter => {
                "this kernel needs CONFIG_SECCOMP_FILTER, and a container around the host must permit seccomp"
            }
            Self::Execute => {
                "check that the Keep image is for this architecture and that vm.memfd_noexec is not 2"
            }
            Self::Signals | Self::Session | Self::Capabilities | Self::ParentDeath => {
                "a container or security module around the host forbids it; run the host outside"
            }
        }
    }

    /// The step with this code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == code)
    }

    /// Whether the step belongs to namespaces, which a host may not permit.
    pub(super) const fn needs_namespaces(self) -> bool {
        matches!(self, Self::MapUser | Self::MountRoot | Self::EnterRoot)
    }
}

impl std::fmt::Display for ChildStep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Signals => "reset its signals",
            Self::MapUser => "map its user",
            Self::MountRoot => "mount its root directory",
            Self::EnterRoot => "enter its root directory",
            Self::EnterDirectory => "enter its private directory",
            Self::Descriptors => "put its descriptors in place",
            Self::Limits => "limit its resources",
            Self::Session => "leave its session",
            Self::Capabilities => "drop its capabilities",
            Self::ParentDeath => "tie its life to its parent's",
            Self::NoNewPrivileges => "give up gaining privileges",
            Self::Filter => "install its system call filter",
            Self::Execute => "execute the runtime",
        })
    }
}

/// Size of a failure report: the step, then the error number.
pub(super) const REPORT_SIZE: usize = 5;

/// Reads a failure report.
pub(super) fn decode_report(report: [u8; REPORT_SIZE]) -> Option<(ChildStep, io::Error)> {
    let [step, error @ ..] = report;
    Some((
        ChildStep::from_code(step)?,
        io::Error::from_raw_os_error(i32::from_ne_bytes(error)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_reported_and_read_back() {
        for step in ChildStep::ALL {
            let mut report = [step as u8, 0, 0, 0, 0];
            report[1..].copy_from_slice(&libc::EPERM.to_ne_bytes());
            let (found, error) = decode_report(report).unwrap();
            assert_eq!(found, step);
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            assert!(!step.remedy().is_empty());
        }
        assert!(decode_report([0; REPORT_SIZE]).is_none());
        assert!(decode_report([200, 0, 0, 0, 0]).is_none());
    }
}
