//! What an enclave's exceptions look like to it and to the host.

use crate::harness::{
    ABSENT, CONSTANT, DATA, Left, Monitor, enclave, enclave_of, in_own_process, secs,
};
use crate::programs;

const INVALID_OPCODE: u64 = 0x8000_0306;

#[test]
fn system_calls_are_invalid_opcodes() {
    in_own_process("exceptions::system_calls_are_invalid_opcodes", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);

        let (left, ..) = monitor.call(monitor.address(programs::syscall()), 0x1122_3344_0000_0027);
        assert_eq!(left.vector(), Some(6));
        let (exit_info, _, _, rip) = monitor.report();
        assert_eq!((exit_info, rip), (INVALID_OPCODE, programs::syscall()));
        let before = monitor.skip(2, 0x99);
        assert_eq!(before.rdi, 0x1122_3344_0000_0027, "RAX");
        assert_eq!(before.r8, 5, "RSI");
        assert_ne!(before.rsi, monitor.address(programs::syscall()) + 2, "RCX");
        let (left, words) = monitor.resume();
        assert_eq!((left, words.rdi), (Left::Exit, 0x99));

        let (left, ..) = monitor.call(monitor.address(programs::int80()), 0x27);
        assert_eq!(left.vector(), Some(6));
        let (exit_info, _, _, rip) = monitor.report();
        assert_eq!((exit_info, rip), (INVALID_OPCODE, programs::int80()));
        let before = monitor.skip(2, 0);
        assert_eq!((before.rdi, before.rsi, before.rdx), (0x27, 0x77, 0x66));
        assert_eq!(monitor.resume().0, Left::Exit);

        // The host's system calls go on working.
        assert!(std::fs::metadata("/").is_ok());
    });
}

#[test]
fn sysenter_does_not_reach_the_kernel() {
    in_own_process("exceptions::sysenter_does_not_reach_the_kernel", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let (left, ..) = monitor.call(monitor.address(programs::sysenter()), 20);
        assert!(matches!(left.vector(), Some(6 | 13)), "{left:?}");
        assert!(std::fs::metadata("/").is_ok());
    });
}

#[test]
fn privileged_instructions_are_what_enclaves_see() {
    in_own_process(
        "exceptions::privileged_instructions_are_what_enclaves_see",
        || {
            let enclave = enclave(programs::monitor());
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            for (place, exit_info, length) in [
                (programs::ud2(), INVALID_OPCODE, 2),
                (programs::int(), INVALID_OPCODE, 2),
                (programs::rdpmc(), INVALID_OPCODE, 2),
                (programs::int3(), 0x8000_0603, 1),
            ] {
                let (left, ..) = monitor.call(monitor.address(place), 0);
                assert_eq!(left.vector(), Some((exit_info & 0xff) as u16));
                let (found, _, _, rip) = monitor.report();
                assert_eq!((found, rip), (exit_info, place));
                monitor.recover(length);
            }
            let (left, ..) = monitor.call(monitor.address(programs::divide()), 0);
            assert_eq!(left.vector(), Some(0));
            assert_eq!(monitor.report().0, 0x8000_0300);
            monitor.recover(2);
        },
    );
}

#[test]
fn cpuid_is_refused_where_the_processor_can() {
    in_own_process(
        "exceptions::cpuid_is_refused_where_the_processor_can",
        || {
            let enclave = enclave(programs::monitor());
            let attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let (left, ..) = monitor.call(monitor.address(programs::cpuid()), 0);
            if left != Left::Exit {
                assert_eq!(left.vector(), Some(6));
                assert_eq!(monitor.report().0, INVALID_OPCODE);
                monitor.recover(2);
            }
            let inside = std::arch::x86_64::__cpuid(0);
            drop(attachment);
            assert_eq!(inside, std::arch::x86_64::__cpuid(0));
        },
    );
}

#[test]
fn page_faults_come_with_their_details() {
    in_own_process("exceptions::page_faults_come_with_their_details", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let page_fault = 0x8000_030e;

        // An absent page is augmented by the driver, and faults since it is pending.
        let address = monitor.address(ABSENT) + 0x123;
        let (left, _) = monitor.try_read(address);
        assert_eq!(left, Left::page_fault(0x8005, address & !0xfff));
        let (exit_info, maddr, error_code, _) = monitor.report();
        assert_eq!(
            (exit_info, maddr, error_code),
            (page_fault, address, 0x8005)
        );
        monitor.recover(3);
        assert_eq!(enclave.statistics().eaug, 1);

        let left = monitor.try_write(address, 1);
        assert_eq!(left, Left::page_fault(0x8007, address & !0xfff));
        assert_eq!(monitor.report().2, 0x8007);
        monitor.recover(3);
        assert_eq!(enclave.statistics().eaug, 1);

        let constant = monitor.address(CONSTANT);
        assert_eq!(monitor.read(CONSTANT), 0x0707_0707_0707_0707);
        assert_eq!(
            monitor.try_write(constant, 1),
            Left::page_fault(0x8007, constant)
        );
        monitor.recover(3);
        assert_eq!(monitor.read(CONSTANT), 0x0707_0707_0707_0707);

        // Its own TCS is out of reach.
        let (left, _) = monitor.try_read(monitor.tcs);
        assert_eq!(left, Left::page_fault(0x8005, monitor.tcs));
        monitor.recover(3);

        // Data is not code.
        let data = monitor.address(DATA);
        let (left, ..) = monitor.call(data, 0);
        assert_eq!(left, Left::page_fault(0x8015, data));

        let statistics = enclave.statistics();
        assert_eq!(statistics.aex[14], 5);
        assert_eq!(statistics.aex.iter().sum::<u64>(), 5);
    });
}

#[test]
fn page_faults_are_secret_without_exinfo() {
    in_own_process("exceptions::page_faults_are_secret_without_exinfo", || {
        let mut secs = secs();
        secs[20] = 0;
        let enclave = enclave_of(&secs, programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let address = monitor.address(ABSENT);
        assert_eq!(
            monitor.try_read(address).0,
            Left::page_fault(0x8005, address)
        );
        let (exit_info, maddr, error_code, _) = monitor.report();
        assert_eq!((exit_info, maddr, error_code), (0, 0, 0));
        monitor.recover(3);
        assert_eq!(monitor.try_read(1 << 62).0.vector(), Some(13));
        assert_eq!(monitor.report().0, 0);
        monitor.recover(3);
        let left = monitor.call(monitor.address(programs::ud2()), 0).0;
        assert_eq!(left.vector(), Some(6));
        assert_eq!(monitor.report().0, INVALID_OPCODE);
    });
}

#[test]
fn untrusted_memory_can_be_used_and_faults_without_the_sgx_bit() {
    in_own_process(
        "exceptions::untrusted_memory_can_be_used_and_faults_without_the_sgx_bit",
        || {
            let enclave = enclave(programs::monitor());
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let mut word = 0x1234_u64;
            assert_eq!(
                monitor.try_read(&raw const word as u64),
                (Left::Exit, 0x1234)
            );
            assert_eq!(monitor.try_write(&raw mut word as u64, 0x5678), Left::Exit);
            assert_eq!(word, 0x5678);

            let (left, _) = monitor.try_read(0x10);
            assert_eq!(left, Left::page_fault(4, 0));
            monitor.recover(3);
            let (left, _) = monitor.try_read(1 << 62);
            assert_eq!(left.vector(), Some(13));
            assert_eq!(monitor.report().0, 0x8000_030d);
            monitor.recover(3);
        },
    );
}

#[test]
fn code_outside_cannot_go_on() {
    in_own_process("exceptions::code_outside_cannot_go_on", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        extern "C" fn host_function() -> i32 {
            // SAFETY: has no preconditions.
            unsafe { libc::getppid() }
        }
        let (left, ..) = monitor.call(host_function as *const () as u64, 0);
        assert_eq!(left.vector(), Some(13));
    });
}

#[test]
fn single_steps_are_suppressed() {
    in_own_process("exceptions::single_steps_are_suppressed", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let (left, rflags, _) = monitor.call(monitor.address(programs::trap_flag()), 0);
        assert_eq!((left, rflags & 0x100), (Left::Exit, 0));
        assert_eq!(enclave.statistics().aex[1], 0);
    });
}

#[test]
fn signals_of_the_host_reach_the_host() {
    in_own_process("exceptions::signals_of_the_host_reach_the_host", || {
        use std::sync::atomic::{AtomicU32, Ordering};
        static SEEN: AtomicU32 = AtomicU32::new(0);
        extern "C" fn count(_: i32) {
            SEEN.fetch_add(1, Ordering::Relaxed);
        }
        let handler = count as extern "C" fn(i32);
        for signal in [libc::SIGFPE, libc::SIGUSR1] {
            // SAFETY: the handler only counts.
            unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
        }
        let enclave = enclave(programs::monitor());
        let attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        // SAFETY: both have handlers.
        unsafe {
            libc::raise(libc::SIGFPE);
            assert_eq!(SEEN.load(Ordering::Relaxed), 1);
            libc::raise(libc::SIGUSR1);
        }
        assert_eq!(monitor.sum(1, 2), (3, 0));
        assert_eq!(SEEN.load(Ordering::Relaxed), 1, "blocked while attached");
        drop(attachment);
        assert_eq!(SEEN.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn signals_that_were_sent_interrupt_and_the_enclave_goes_on() {
    in_own_process(
        "exceptions::signals_that_were_sent_interrupt_and_the_enclave_goes_on",
        || {
            use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
            const SIGNALS: u32 = 2000;
            static SEEN: AtomicU32 = AtomicU32::new(0);
            thread_local! {
                static OWN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
            }
            extern "C" fn count(_: i32) {
                OWN.set(OWN.get() + 1);
                SEEN.fetch_add(1, Ordering::SeqCst);
            }
            let handler = count as extern "C" fn(i32);
            // SAFETY: the handler only counts.
            unsafe { libc::signal(libc::SIGFPE, handler as *const () as libc::sighandler_t) };
            let enclave = enclave(programs::monitor());
            let word = AtomicU64::new(0);
            let thread = AtomicU64::new(0);
            std::thread::scope(|scope| {
                let (word, thread) = (&word, &thread);
                let inside = scope.spawn(move || {
                    let _attachment = enclave.attach_thread().unwrap();
                    let monitor = Monitor::new(enclave, 0);
                    // SAFETY: has no preconditions.
                    thread.store(unsafe { libc::pthread_self() }, Ordering::SeqCst);
                    let wait = monitor.address(programs::wait());
                    let (left, ..) = monitor.call(wait, word.as_ptr() as u64);
                    assert_eq!((left, OWN.get()), (Left::Exit, SIGNALS));
                    assert_eq!(monitor.sum(1, 2), (3, 0));
                });
                while word.load(Ordering::SeqCst) != 1 {
                    std::thread::yield_now();
                }
                for number in 1..=SIGNALS {
                    // SAFETY: the thread is waiting in the enclave.
                    unsafe { libc::pthread_kill(thread.load(Ordering::SeqCst), libc::SIGFPE) };
                    while SEEN.load(Ordering::SeqCst) != number {
                        std::thread::yield_now();
                    }
                }
                word.store(2, Ordering::SeqCst);
                inside.join().unwrap();
            });
            // Some may have come while the thread handled the one before.
            let statistics = enclave.statistics();
            assert!((1..=SIGNALS.into()).contains(&statistics.interrupts));
            assert_eq!(statistics.interrupts, statistics.eresume);
        },
    );
}

#[test]
fn an_attached_thread_remains_a_thread() {
    in_own_process("exceptions::an_attached_thread_remains_a_thread", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        assert_eq!(monitor.sum(1, 2), (3, 0));
        let status = std::process::Command::new("true").status().unwrap();
        assert!(status.success());
        let child = std::thread::spawn(move || {
            // CPUID may raise exceptions in threads of an attached thread.
            let _ = std::arch::x86_64::__cpuid(0);
            let _attachment = enclave.attach_thread().unwrap();
            Monitor::new(enclave, 1).sum(3, 4)
        });
        assert_eq!(child.join().unwrap(), (7, 0));
        let panicked = std::panic::catch_unwind(|| panic!("expected"));
        assert!(panicked.is_err());
        assert_eq!(monitor.sum(5, 6), (11, 0));
    });
}

#[test]
fn a_crash_of_the_host_is_a_crash() {
    // The process of its own is the one that must die.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["exceptions::crashes", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGSEGV));
}

#[test]
#[ignore = "dies; run by another test"]
fn crashes() {
    let enclave = enclave(programs::monitor());
    let _attachment = enclave.attach_thread().unwrap();
    assert_eq!(Monitor::new(enclave, 0).sum(1, 2), (3, 0));
    // SAFETY: unsound, which is what is tested.
    unsafe { std::ptr::without_provenance_mut::<u64>(8).write_volatile(0) };
}
