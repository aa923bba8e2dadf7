//! The child's way from the launcher's memory to a Keep.
//!
//! Everything here but [`confine`] runs after `clone` in a process that borrows the launcher's memory,
//! beside all of its other threads, while the thread that made it waits. So nothing
//! here allocates, locks, writes to anything but its own stack, or calls anything but
//! the kernel: all strings and structures are prepared by the parent in [`Plan`].

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::io;
use std::ptr;

use libc::sock_filter;

use super::filter::{self, IMAGE_DESCRIPTOR, OPEN_FILES, Program};
use super::step::{ChildStep, REPORT_SIZE};

/// All that the child needs, prepared by the parent.
pub(super) struct Plan<'a> {
    /// Source descriptors of 0 to 4, in this order. None is below
    /// [`LOWEST_SOURCE`], so that none is overwritten before it is used.
    pub standard: [c_int; 5],
    /// The program.
    pub image: c_int,
    /// Its name.
    pub name: &'a CStr,
    /// Where a failed step is reported. Closed by a successful execution.
    pub report: c_int,
    /// Where the Keep lives.
    pub root: Root,
    /// Limit on the Keep's private memory in bytes.
    pub private_memory_bytes: Option<u64>,
    /// Limit on the Keep's processor time in seconds.
    pub cpu_seconds: Option<u64>,
    /// The system-call filter, unless the program installs it.
    pub filter: Option<&'a [sock_filter]>,
}

/// Where the Keep lives.
pub(super) enum Root {
    /// In namespaces of its own, in an empty file system in memory.
    Namespaces {
        /// Contents of `uid_map` and `gid_map`.
        user_map: CString,
        group_map: CString,
        /// Options of the file system: its size and permissions.
        tmpfs_options: CString,
    },
    /// In namespaces of its own, in which the program has the capabilities to empty its file
    /// system.
    NamespacesForProgram {
        /// Contents of `uid_map` and `gid_map`.
        user_map: CString,
        group_map: CString,
    },
    /// In a directory.
    Directory(CString),
}

/// The lowest number of a descriptor in [`Plan`].
pub(super) const LOWEST_SOURCE: c_int = 16;

/// Flags of the child's `clone`: namespaces that are worth their cost, about a
/// quarter of a millisecond for all of them with the empty root.
///
/// Not a network namespace, which would cost twice as much again: the filter lets a Keep
/// that has no business there make no socket that could use a network.
pub(super) const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWPID;

/// Becomes the Keep. Returns only by ending the process, after reporting the step
/// that failed.
///
/// # Safety
///
/// The caller is a process that was just made by `clone`, with a stack of its own,
/// all signals blocked, and its parent's thread suspended. The descriptors in `plan`
/// are open.
pub(super) unsafe fn become_keep(plan: &Plan<'_>) -> ! {
    // SAFETY: as the caller promises.
    unsafe {
        match steps(plan) {
            Ok(never) => match never {},
            Err(failure) => report_and_exit(plan.report, failure),
        }
    }
}

/// Goes to where a Keep would live, and ends: status 0 if that worked, else after
/// reporting the step that failed.
///
/// # Safety
///
/// As [`become_keep`]; `report` is open.
pub(super) unsafe fn try_root(root: &Root, report: c_int) -> ! {
    // SAFETY: as the caller promises.
    unsafe {
        match enter(root) {
            Ok(()) => exit(0),
            Err(failure) => report_and_exit(report, failure),
        }
    }
}

/// # Safety
///
/// As [`become_keep`]; `descriptor` is open.
unsafe fn report_and_exit(descriptor: c_int, (step, error): Failure) -> ! {
    let mut report = [0; REPORT_SIZE];
    report[0] = step as u8;
    report[1..].copy_from_slice(&error.to_ne_bytes());
    // SAFETY: a local buffer of the size that is said. If the write fails, the parent
    // learns of the end all the same.
    unsafe {
        libc::syscall(libc::SYS_write, descriptor, report.as_ptr(), REPORT_SIZE);
        exit(127)
    }
}

/// # Safety
///
/// As [`become_keep`].
unsafe fn exit(status: c_int) -> ! {
    loop {
        // SAFETY: ends this process, which is no copy of anything that still runs.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// Takes the steps that [`Confinement::ByProgram`](super::Confinement) has left to the program
/// that runs, `program`: empties its file system if it is in namespaces, which then holds `size` bytes at
/// most, gives up its capabilities, and installs the system-call filter.
///
/// # Errors
///
/// The step that failed. The process is of no use then.
pub(crate) fn confine(
    program: Program,
    namespaces: Option<u64>,
) -> Result<(), (ChildStep, io::Error)> {
    let options = namespaces.map(|size| CString::new(tmpfs_options(size)).unwrap_or_default());
    let filter = filter::filter(program);
    // SAFETY: each call passes the kernel's own argument types, which live until the call
    // returns, and changes this process alone.
    let confined = unsafe {
        options
            .map_or(Ok(()), |options| enter_empty_root(&options))
            .and_then(|()| drop_capabilities())
            .and_then(|()| install_filter(filter))
    };
    confined.map_err(|(step, error)| (step, io::Error::from_raw_os_error(error)))
}

/// Options of a Keep's file system in memory of `size` bytes.
pub(super) fn tmpfs_options(size: u64) -> String {
    format!("size={size},mode=0700")
}

enum Never {}

type Failure = (ChildStep, c_int);

/// # Safety
///
/// As [`become_keep`].
unsafe fn steps(plan: &Plan<'_>) -> Result<Never, Failure> {
    // SAFETY: each call below passes the kernel's own argument types: integers,
    // NUL-terminated strings and structures that live until the call returns. They
    // change this process and none of the memory that it borrows.
    unsafe {
        reset_signals()?;
        enter(&plan.root)?;
        place_descriptors(plan)?;
        limit(plan)?;
        call(ChildStep::Session, libc::syscall(libc::SYS_setsid))?;
        if !matches!(plan.root, Root::NamespacesForProgram { .. }) {
            drop_capabilities()?;
        }
        call(
            ChildStep::ParentDeath,
            libc::syscall(
                libc::SYS_prctl,
                libc::PR_SET_PDEATHSIG,
                libc::SIGKILL,
                0,
                0,
                0,
            ),
        )?;
        call(
            ChildStep::NoNewPrivileges,
            libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        )?;
        if let Some(filter) = plan.filter {
            install_filter(filter)?;
        }

        let arguments: [*const c_char; 2] = [plan.name.as_ptr(), ptr::null()];
        let environment: [*const c_char; 1] = [ptr::null()];
        call(
            ChildStep::Execute,
            libc::syscall(
                libc::SYS_execveat,
                IMAGE_DESCRIPTOR,
                c"".as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            ),
        )?;
    }
    Err((ChildStep::Execute, libc::EINVAL))
}

/// Goes to where the Keep lives.
///
/// # Safety
///
/// As [`become_keep`]; with the namespaces that `root` is about.
unsafe fn enter(root: &Root) -> Result<(), Failure> {
    // SAFETY: strings end with a NUL; the rest as the caller promises.
    unsafe {
        match root {
            Root::Namespaces {
                user_map,
                group_map,
                tmpfs_options,
            } => {
                map_user(user_map, group_map)?;
                enter_empty_root(tmpfs_options)
            }
            Root::NamespacesForProgram {
                user_map,
                group_map,
            } => map_user(user_map, group_map),
            Root::Directory(path) => call(
                ChildStep::EnterDirectory,
                libc::syscall(libc::SYS_chdir, path.as_ptr()),
            ),
        }
    }
}

/// # Safety
///
/// As [`become_keep`], in a user namespace of its own.
unsafe fn map_user(user_map: &CStr, group_map: &CStr) -> Result<(), Failure> {
    // SAFETY: strings end with a NUL.
    unsafe {
        write_file(c"/proc/self/setgroups", c"deny")?;
        write_file(c"/proc/self/uid_map", user_map)?;
        write_file(c"/proc/self/gid_map", group_map)
    }
}

/// Signals that the launcher ignores would stay ignored in the runtime, and signals
/// that its thread blocked would stay blocked.
///
/// # Safety
///
/// As [`become_keep`].
unsafe fn reset_signals() -> Result<(), Failure> {
    // The kernel's own `sigaction` and signal set: all zero means "default, nothing
    // blocked".
    let default_action = [0u64; 4];
    let no_signals = 0u64;
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: both structures have the size that the kernel reads.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default_action.as_ptr(),
                ptr::null::<u64>(),
                size_of_val(&no_signals),
            )
        };
        call(ChildStep::Signals, result)?;
    }
    // SAFETY: as above.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const no_signals,
            ptr::null::<u64>(),
            size_of_val(&no_signals),
        )
    };
    call(ChildStep::Signals, result)
}

/// # Safety
///
/// As [`become_keep`].
unsafe fn write_file(path: &CStr, contents: &CStr) -> Result<(), Failure> {
    // SAFETY: strings end with a NUL, the buffer is as long as is said.
    unsafe {
        let file = descriptor(
            ChildStep::MapUser,
            libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                path.as_ptr(),
                libc::O_WRONLY | libc::O_CLOEXEC,
            ),
        )?;
        call(
            ChildStep::MapUser,
            libc::syscall(
                libc::SYS_write,
                file,
                contents.as_ptr(),
                contents.count_bytes(),
            ),
        )?;
        call(ChildStep::MapUser, libc::syscall(libc::SYS_close, file))
    }
}

/// Replaces the root directory by an empty file system in memory. It is mounted over
/// `/proc`, a directory that was just seen to exist.
///
/// # Safety
///
/// As [`become_keep`], in a mount namespace of its own.
unsafe fn enter_empty_root(options: &CStr) -> Result<(), Failure> {
    // SAFETY: strings end with a NUL.
    unsafe {
        call(
            ChildStep::MountRoot,
            libc::syscall(
                libc::SYS_mount,
                c"none".as_ptr(),
                c"/".as_ptr(),
                ptr::null::<c_char>(),
                libc::MS_REC | libc::MS_PRIVATE,
                ptr::null::<c_char>(),
            ),
        )?;
        call(
            ChildStep::MountRoot,
            libc::syscall(
                libc::SYS_mount,
                c"enarx-keep".as_ptr(),
                c"/proc".as_ptr(),
                c"tmpfs".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
                options.as_ptr(),
            ),
        )?;
        call(
            ChildStep::EnterRoot,
            libc::syscall(libc::SYS_chdir, c"/proc".as_ptr()),
        )?;
        // pivot_root(2), NOTES: with both arguments the same, the old root lies on
        // top of the new one, and can be unmounted from there.
        call(
            ChildStep::EnterRoot,
            libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()),
        )?;
        call(
            ChildStep::EnterRoot,
            libc::syscall(libc::SYS_umount2, c".".as_ptr(), libc::MNT_DETACH),
        )?;
        call(
            ChildStep::EnterRoot,
            libc::syscall(libc::SYS_chdir, c"/".as_ptr()),
        )
    }
}

/// Puts descriptors 0 to 4 in place and has all others closed by the execution.
///
/// # Safety
///
/// As [`become_keep`].
unsafe fn place_descriptors(plan: &Plan<'_>) -> Result<(), Failure> {
    // SAFETY: integers, and one structure that lives until the call returns.
    unsafe {
        for (target, source) in plan.standard.iter().enumerate() {
            call(
                ChildStep::Descriptors,
                libc::syscall(libc::SYS_dup3, *source, target, 0),
            )?;
        }
        // The launcher may run under a limit that is too low for the image's number.
        set_limit(
            ChildStep::Descriptors,
            libc::RLIMIT_NOFILE,
            IMAGE_DESCRIPTOR.unsigned_abs().into(),
            1,
        )?;
        call(
            ChildStep::Descriptors,
            libc::syscall(
                libc::SYS_dup3,
                plan.image,
                IMAGE_DESCRIPTOR,
                libc::O_CLOEXEC,
            ),
        )?;
        call(
            ChildStep::Descriptors,
            libc::syscall(
                libc::SYS_close_range,
                plan.standard.len(),
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            ),
        )
    }
}

/// # Safety
///
/// As [`become_keep`].
unsafe fn limit(plan: &Plan<'_>) -> Result<(), Failure> {
    let limits = [
        (libc::RLIMIT_NOFILE, Some(OPEN_FILES)),
        (libc::RLIMIT_CORE, Some(0)),
        (libc::RLIMIT_MEMLOCK, Some(0)),
        (libc::RLIMIT_MSGQUEUE, Some(0)),
        (libc::RLIMIT_DATA, plan.private_memory_bytes),
        // Soft and hard alike: SIGKILL ends the process, and not SIGXCPU, which
        // the first process of a namespace would not notice.
        (libc::RLIMIT_CPU, plan.cpu_seconds),
    ];
    for (resource, value) in limits {
        if let Some(value) = value {
            // SAFETY: as the caller promises.
            unsafe { set_limit(ChildStep::Limits, resource, value, 0)? };
        }
    }
    Ok(())
}

/// Sets a limit to `value`, and `spare` above it.
///
/// # Safety
///
/// As [`become_keep`].
unsafe fn set_limit(
    step: ChildStep,
    resource: libc::__rlimit_resource_t,
    value: u64,
    spare: u64,
) -> Result<(), Failure> {
    let limit = [value + spare; 2];
    // SAFETY: `struct rlimit64` is two 64-bit numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            limit.as_ptr(),
            ptr::null::<u64>(),
        )
    };
    call(step, result)
}

/// # Safety
///
/// As [`become_keep`].
unsafe fn drop_capabilities() -> Result<(), Failure> {
    // capset(2): version 3, this process, and two words for each of three empty sets.
    let header = [0x2008_0522u32, 0];
    let sets = [0u32; 6];
    // SAFETY: both structures have the size that this version says.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    call(ChildStep::Capabilities, result)
}

/// # Safety
///
/// As [`become_keep`].
unsafe fn install_filter(filter: &[sock_filter]) -> Result<(), Failure> {
    let length = u16::try_from(filter.len()).map_err(|_| (ChildStep::Filter, libc::EINVAL))?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program points to as many instructions as it says, and the kernel only
    // reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    call(ChildStep::Filter, result)
}

fn call(step: ChildStep, result: c_long) -> Result<(), Failure> {
    descriptor(step, result).map(|_| ())
}

fn descriptor(step: ChildStep, result: c_long) -> Result<c_int, Failure> {
    if result < 0 {
        // SAFETY: errno of the suspended thread, which `libc::syscall` has just set.
        return Err((step, unsafe { *libc::__errno_location() }));
    }
    c_int::try_from(result).map_err(|_| (step, libc::EINVAL))
}
