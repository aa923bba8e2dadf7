//! The table of system calls.

// The names are the kernel's own.
#![allow(non_upper_case_globals)]

use linux_raw_sys::general::*;

use super::{Kernel, Next};
use crate::{
    Error,
    platform::Platform,
    registers::{ExtendedState, Registers},
    signal,
};

/// Serves one system call.
pub(super) fn serve<P: Platform>(
    kernel: &Kernel<P>,
    registers: &mut Registers,
    extended: &mut ExtendedState,
) -> Next {
    let Ok(number) = u32::try_from(registers.rax) else {
        registers.rax = Error::ENOSYS.as_result().cast_unsigned();
        return Next::Continue;
    };
    match number {
        // These two do not return to where they were called.
        __NR_exit => {
            kernel.end_thread();
            return Next::End;
        }
        __NR_rt_sigreturn => {
            let mut threads = kernel.threads.lock();
            let state = &mut threads.running(kernel.platform.thread()).signals;
            let popped = signal::pop(kernel, state, registers, extended);
            drop(threads);
            if popped.is_err() {
                kernel.exit(super::SIGNALED + u64::from(SIGSEGV));
            }
            return Next::Continue;
        }
        _ => {}
    }
    let result = answer(kernel, number, registers);
    registers.rax = match result {
        Ok(value) => value,
        Err(error) => error.as_result().cast_unsigned(),
    };
    Next::Continue
}

/// Every call that is known, by who serves it and why.
#[rustfmt::skip]
fn answer<P: Platform>(
    kernel: &Kernel<P>,
    number: u32,
    registers: &mut Registers,
) -> Result<u64, Error> {
    let a = registers.arguments();
    match number {
        // Inside: memory is the Keep's own.
        __NR_mmap => kernel.mmap(a),
        __NR_mprotect => kernel.mprotect(a),
        __NR_munmap => kernel.munmap(a),
        __NR_madvise => kernel.madvise(a),
        __NR_brk => Ok(kernel.brk(a[0])),

        // Inside, with the host's help to wait and to start what was measured: threads.
        __NR_clone => kernel.clone_thread(a, registers),
        __NR_futex => kernel.futex(a),
        __NR_gettid => Ok(kernel.thread_id()),
        __NR_set_tid_address => Ok(kernel.set_tid_address(a[0])),
        __NR_sched_yield => Ok(0),
        __NR_sched_getaffinity => kernel.affinity(a),
        // A thread that ends within a lock ends the Keep: nobody waits for its robust locks.
        __NR_set_robust_list => Ok(0),
        __NR_exit_group => kernel.exit(a[0] & 0xFF),

        // Inside: signals are what the program's own instructions cause.
        __NR_rt_sigaction => kernel.actions.lock().change(kernel, a),
        __NR_rt_sigprocmask => kernel.with_signals(|state| state.change_mask(kernel, a)),
        __NR_sigaltstack => kernel.with_signals(|state| {
            state.change_stack(kernel, a, registers.rsp)
        }),
        __NR_tgkill => kernel.signal_itself(a),

        // Inside: time is the processor's counter, which the host is asked about once.
        __NR_clock_gettime => kernel.clock_gettime(a),
        __NR_clock_getres => kernel.clock_getres(a),
        // Proxied: waiting.
        __NR_clock_nanosleep => kernel.clock_nanosleep(a),
        // Proxied for what is the host's, inside for everything else: waiting for descriptors.
        __NR_poll => kernel.poll(a),
        __NR_ppoll => kernel.ppoll(a),
        __NR_epoll_wait => kernel.epoll_wait(a),

        // Proxied, where the launch permits it: sockets. Nothing that the host says is trusted.
        __NR_socket => kernel.socket(a),
        __NR_bind => kernel.bind(a),
        __NR_connect => kernel.connect(a),
        __NR_listen => kernel.listen(a),
        __NR_accept4 => kernel.accept(a),
        __NR_shutdown => kernel.shutdown(a),
        __NR_getsockname => kernel.socket_name(a, 0),
        __NR_getpeername => kernel.socket_name(a, 1),
        __NR_setsockopt => kernel.set_socket_option(a),
        __NR_getsockopt => kernel.socket_option(a),
        __NR_sendto => kernel.send_to(a),
        __NR_recvfrom => kernel.receive_from(a),

        // Inside: random numbers are the processor's.
        __NR_getrandom => kernel.getrandom(a),

        // Inside: what the program is and may have. Fixed, and nobody else's business.
        __NR_getpid => Ok(1),
        __NR_getuid | __NR_geteuid | __NR_getgid | __NR_getegid => Ok(0),
        __NR_uname => kernel.uname(a[0]),
        __NR_prlimit64 => kernel.limits(a),
        __NR_arch_prctl => kernel.architecture_control(a, registers),

        // Refused: the C library does what older calls do, or copies by itself. Names of threads
        // and of memory are for others to see; there are no others.
        __NR_clone3 | __NR_mremap | __NR_prctl | __NR_rseq => Err(Error::ENOSYS),

        // Proxied for sockets and the stream to the host, inside for everything else: data.
        __NR_read | __NR_readv | __NR_write | __NR_writev => kernel.transfer(number, a),

        // Inside, in a table of its own: descriptors, what threads wait for, and files, which are in
        // the Keep's memory, where nobody else reads or changes them. Others are unknown: whoever
        // needs one more finds out by their count.
        _ => kernel.file_call(number, a),
    }
}
