//! The system calls that a Keep's process may make.
//!
//! Three answers are given:
//!
//! - **allowed**: what the runtime needs (a static glibc program with one event loop
//!   and one helper thread), some of them only with certain arguments;
//! - **`ENOSYS`**: everything else. The C library and the runtime probe for newer calls
//!   (`clone3`, `rseq`, `openat2`, ...) and have another way when one does not
//!   exist, so a call that is merely unknown here must look like one that the
//!   kernel does not have, and does nothing;
//! - **the process is killed**: calls that no honest runtime makes even to try, such
//!   as tracing, mounting or loading code into the kernel. An attempt means that the Keep
//!   is taken over, and it should not get a second one.

use std::sync::OnceLock;

use enarx_wire_hostcall::call::SocketOption;
use libc::sock_filter;

use super::program::{self, Answer, Argument, Rule};

/// The descriptor from which the child executes the runtime. It is above the limit
/// on open files that the child runs with ([`OPEN_FILES`]), so that no file
/// which the Keep opens can ever take its place in the filter's rule.
pub(super) const IMAGE_DESCRIPTOR: i32 = 2040;

/// Open files that a Keep may have: a thousand connections, and as many files.
pub(super) const OPEN_FILES: u64 = 2000;

/// The programs that Keeps' processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The Keep's runtime.
    Runtime {
        /// Whether it may use the host's network.
        network: bool,
    },
    /// The host's side of an enclave.
    EnclaveHost {
        /// Whether the Keep may use the host's network.
        network: bool,
    },
    /// The host's side of a virtual machine.
    MachineHost {
        /// Whether the Keep may use the host's network.
        network: bool,
    },
}

/// The filter for `program`, built on first use.
pub(super) fn filter(program: Program) -> &'static [sock_filter] {
    /// Each without a network, and with one.
    type Filters = [OnceLock<Vec<sock_filter>>; 2];
    static RUNTIMES: Filters = [const { OnceLock::new() }; 2];
    static ENCLAVE_HOSTS: Filters = [const { OnceLock::new() }; 2];
    static MACHINE_HOSTS: Filters = [const { OnceLock::new() }; 2];
    let (filters, network) = match program {
        Program::Runtime { network } => (&RUNTIMES, network),
        Program::EnclaveHost { network } => (&ENCLAVE_HOSTS, network),
        Program::MachineHost { network } => (&MACHINE_HOSTS, network),
    };
    filters[usize::from(network)].get_or_init(|| program::compile(rules(program)))
}

fn rules(program: Program) -> Vec<Rule> {
    let (own, network) = match program {
        Program::Runtime { network } => (OF_RUNTIMES, network),
        Program::EnclaveHost { network } => (OF_ENCLAVE_HOSTS, network),
        Program::MachineHost { network } => (OF_MACHINE_HOSTS, network),
    };
    let (sockets, new_sockets) = if network {
        (SOCKETS, NEW_SOCKETS)
    } else {
        (&[] as &[i64], &[] as Conditional)
    };
    let allowed = ALWAYS
        .iter()
        .chain(files(program))
        .chain(sockets)
        .map(|call| Rule {
            call: *call,
            answer: Answer::Allow,
        });
    let fatal = FATAL.iter().map(|call| Rule {
        call: *call,
        answer: Answer::Kill,
    });
    let lists = [own, new_sockets, CONDITIONAL].into_iter().flatten();
    let conditional = lists.map(|(call, alternatives)| Rule {
        call: *call,
        answer: Answer::AllowWith(alternatives),
    });
    allowed.chain(fatal).chain(conditional).collect()
}

const fn files(program: Program) -> &'static [i64] {
    match program {
        Program::Runtime { .. } | Program::EnclaveHost { .. } => FILES,
        Program::MachineHost { .. } => &[],
    }
}

const fn word(index: u32, value: u64) -> Argument {
    Argument {
        index,
        value,
        wide: false,
    }
}

const fn long(index: u32, value: u64) -> Argument {
    Argument {
        index,
        value,
        wide: true,
    }
}

/// What glibc's `pthread_create` passes to `clone`; nothing but a thread fits.
const NEW_THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as u64;

/// Calls that are allowed with certain arguments: one of the alternatives, each a
/// list of arguments that all have to fit.
type Conditional = &'static [(i64, &'static [&'static [Argument]])];

/// Thread names, names of memory areas, and the attribute of not being dumped.
const SET_NAME: &[Argument] = &[word(0, libc::PR_SET_NAME as u64)];
const SET_AREA_NAME: &[Argument] = &[word(0, libc::PR_SET_VMA as u64)];
const SET_UNDUMPABLE: &[Argument] = &[word(0, libc::PR_SET_DUMPABLE as u64), long(1, 0)];

/// Blocking mode, close-on-exec, bytes to read, and "is this a terminal?".
const SET_BLOCKING: &[Argument] = &[word(1, libc::FIONBIO)];
const CLOSE_ON_EXECUTION: &[Argument] = &[word(1, libc::FIOCLEX)];
const BYTES_TO_READ: &[Argument] = &[word(1, libc::FIONREAD)];
const IS_TERMINAL: &[Argument] = &[word(1, libc::TCGETS)];

const CONDITIONAL: Conditional = &[
    // Threads, never processes. `clone3` hides its flags from filters, gets
    // `ENOSYS`, and glibc uses `clone`.
    (libc::SYS_clone, &[&[long(0, NEW_THREAD)]]),
    // Reading limits, never setting them.
    (libc::SYS_prlimit64, &[&[word(0, 0), long(2, 0)]]),
];

/// What a Keep that may use the network makes, and what it asks of them: sockets of TCP and UDP
/// that never block, and nothing that tells the kernel to do more than those protocols do.
const NEW_SOCKETS: Conditional = &[
    (
        libc::SYS_socket,
        &[
            &new_socket(libc::AF_INET, libc::SOCK_STREAM, 0),
            &new_socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP),
            &new_socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
            &new_socket(libc::AF_INET6, libc::SOCK_STREAM, 0),
            &new_socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP),
            &new_socket(libc::AF_INET6, libc::SOCK_DGRAM, 0),
        ],
    ),
    (
        libc::SYS_setsockopt,
        &[
            &option(SocketOption::ReuseAddress),
            &option(SocketOption::Broadcast),
            &option(SocketOption::SendBuffer),
            &option(SocketOption::ReceiveBuffer),
            &option(SocketOption::KeepAlive),
            &option(SocketOption::TimeToLive),
            &option(SocketOption::UnicastHops),
            &option(SocketOption::Ipv6Only),
            &option(SocketOption::NoDelay),
            &option(SocketOption::KeepIdle),
            &option(SocketOption::KeepInterval),
            &option(SocketOption::KeepCount),
        ],
    ),
];

const fn new_socket(family: i32, kind: i32, protocol: i32) -> [Argument; 3] {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    [
        word(0, family as u64),
        word(1, kind as u64),
        word(2, protocol as u64),
    ]
}

/// Those that a Keep behind a shim has too.
const fn option(option: SocketOption) -> [Argument; 2] {
    let (level, name) = option.of_linux();
    [word(1, level as u64), word(2, name as u64)]
}

/// What it does with them.
const SOCKETS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
];

const OF_RUNTIMES: Conditional = &[
    // A Keep's randomness is its processor's. What the C library and the standard library ask
    // the kernel for are numbers that scatter a heap and hash maps.
    (
        libc::SYS_getrandom,
        &[
            &[word(2, libc::GRND_INSECURE as u64)],
            &[long(1, 8), word(2, libc::GRND_NONBLOCK as u64)],
        ],
    ),
    // The one execution, of the runtime itself. A Keep that gets hold of a path could
    // execute that too, since the kernel ignores the descriptor then: its root is an
    // empty file system from which nothing can be executed.
    (
        libc::SYS_execveat,
        &[&[
            word(0, IMAGE_DESCRIPTOR as u64),
            word(4, libc::AT_EMPTY_PATH as u64),
        ]],
    ),
    (libc::SYS_prctl, &[SET_NAME, SET_AREA_NAME, SET_UNDUMPABLE]),
    (
        libc::SYS_ioctl,
        &[SET_BLOCKING, CLOSE_ON_EXECUTION, BYTES_TO_READ, IS_TERMINAL],
    ),
];

const OF_ENCLAVE_HOSTS: Conditional = &[
    (libc::SYS_getrandom, &[&[]]),
    (
        libc::SYS_prctl,
        &[
            SET_NAME,
            SET_AREA_NAME,
            SET_UNDUMPABLE,
            // How the simulator learns of system calls in an enclave.
            &[word(0, PR_SET_SYSCALL_USER_DISPATCH)],
        ],
    ),
    (
        libc::SYS_ioctl,
        &[
            SET_BLOCKING,
            CLOSE_ON_EXECUTION,
            BYTES_TO_READ,
            IS_TERMINAL,
            // What an enclave may have done to its own pages.
            &[word(1, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS)],
            &[word(1, SGX_IOC_ENCLAVE_MODIFY_TYPES)],
            &[word(1, SGX_IOC_ENCLAVE_REMOVE_PAGES)],
        ],
    ),
];

const OF_MACHINE_HOSTS: Conditional = &[
    // Numbers that scatter hash maps and a heap.
    (
        libc::SYS_getrandom,
        &[
            &[word(2, libc::GRND_INSECURE as u64)],
            &[long(1, 8), word(2, libc::GRND_NONBLOCK as u64)],
        ],
    ),
    (libc::SYS_prctl, &[SET_NAME, SET_AREA_NAME, SET_UNDUMPABLE]),
    (
        libc::SYS_ioctl,
        &[
            SET_BLOCKING,
            CLOSE_ON_EXECUTION,
            BYTES_TO_READ,
            IS_TERMINAL,
            // Virtual processors: made when their threads are wanted, set up, run, looked at.
            &[word(1, KVM_CREATE_VCPU)],
            &[word(1, KVM_RUN)],
            &[word(1, KVM_GET_REGS)],
            &[word(1, KVM_SET_REGS)],
            &[word(1, KVM_GET_SREGS)],
            &[word(1, KVM_SET_SREGS)],
            &[word(1, KVM_SET_CPUID2)],
            &[word(1, KVM_SET_XCRS)],
            // In a TEE, memory changes hands, and the system gets back what the guest has no more.
            &[word(1, KVM_SET_MEMORY_ATTRIBUTES)],
        ],
    ),
    (
        libc::SYS_fallocate,
        &[&[word(
            1,
            (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE) as u64,
        )]],
    ),
];

// Linux, UAPI `linux/kvm.h`.
const KVM_CREATE_VCPU: u64 = 0xAE41;
const KVM_RUN: u64 = 0xAE80;
const KVM_GET_REGS: u64 = 0x8090_AE81;
const KVM_SET_REGS: u64 = 0x4090_AE82;
const KVM_GET_SREGS: u64 = 0x8138_AE83;
const KVM_SET_SREGS: u64 = 0x4138_AE84;
const KVM_SET_CPUID2: u64 = 0x4008_AE90;
const KVM_SET_XCRS: u64 = 0x4188_AEA7;
const KVM_SET_MEMORY_ATTRIBUTES: u64 = 0x4020_AED2;

/// Linux, UAPI `linux/prctl.h`.
const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;

/// Linux, UAPI `asm/sgx.h`: `_IOWR(0xA4, 0x05, struct of 40 bytes)`.
const SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS: u64 = 0xC028_A405;

/// `_IOWR(0xA4, 0x06, struct of 40 bytes)`.
const SGX_IOC_ENCLAVE_MODIFY_TYPES: u64 = 0xC028_A406;

/// `_IOWR(0xA4, 0x07, struct of 24 bytes)`.
const SGX_IOC_ENCLAVE_REMOVE_PAGES: u64 = 0xC018_A407;

const ALWAYS: &[i64] = &[
    // Memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Descriptors
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // Sockets that the Keep was given
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    // Waiting and time
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_restart_syscall,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_settime,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    // Threads and signals
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    // What the process is and uses
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// Files, which are the Keep's own, and for programs that have any: beneath a shim they are in its memory.
const FILES: &[i64] = &[
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

const FATAL: &[i64] = &[
    // Other programs, other processes
    libc::SYS_execve,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    // Other namespaces and file systems
    libc::SYS_chroot,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // The kernel and the machine
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_perf_event_open,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_userfaultfd,
    // Other users
    libc::SYS_capset,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setuid,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// What the filter of `program` has to answer to a call whose arguments fit nothing.
#[cfg(test)]
pub(super) fn expected(program: Program, call: u32) -> u32 {
    let number = i64::from(call);
    if ALWAYS.contains(&number) || files(program).contains(&number) {
        libc::SECCOMP_RET_ALLOW
    } else if FATAL.contains(&number) {
        libc::SECCOMP_RET_KILL_PROCESS
    } else {
        libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_one_rule() {
        let programs = [false, true].map(|network| {
            [
                Program::Runtime { network },
                Program::EnclaveHost { network },
                Program::MachineHost { network },
            ]
        });
        for program in programs.into_iter().flatten() {
            let mut calls: Vec<_> = rules(program).iter().map(|rule| rule.call).collect();
            let count = calls.len();
            calls.sort_unstable();
            calls.dedup();
            assert_eq!(calls.len(), count);
        }
    }

    #[test]
    fn the_image_descriptor_cannot_be_opened_under_the_limit() {
        assert!(u64::try_from(IMAGE_DESCRIPTOR).unwrap() >= OPEN_FILES);
    }
}
