//! Pages that come and change while the enclave runs.

use enarx_host_simulator::sgx::enclave::LeafError;

use crate::harness::{
    ABSENT, CONSTANT, DATA, EXECUTE, Left, MODIFIED, Monitor, PAGE, PENDING, READ, REGULAR,
    RESTRICTED, SIZE, THREADS, WRITE, enclave, in_own_process,
};
use crate::programs;

const EACCEPT: u64 = 5;
const EMODPE: u64 = 6;
const EACCEPTCOPY: u64 = 7;
const MISMATCH: u64 = 19;
const ZERO_FLAG: u64 = 0x40;
const STATUS_FLAGS: u64 = 0x8d5;
const NEW: u64 = REGULAR | READ | WRITE | PENDING;

#[test]
fn absent_pages_are_augmented_and_accepted() {
    in_own_process("pages::absent_pages_are_augmented_and_accepted", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);

        // The wrong expectation changes nothing, and says so in RAX and ZF alone.
        let (left, rax, rflags) = monitor.with_secinfo(EACCEPT, NEW | EXECUTE, ABSENT, 0);
        assert_eq!((left, rax), (Left::Exit, MISMATCH));
        assert_eq!(rflags & STATUS_FLAGS, ZERO_FLAG);
        let (left, rax, rflags) = monitor.with_secinfo(EACCEPT, NEW, ABSENT, 0);
        assert_eq!((left, rax), (Left::Exit, 0));
        assert_eq!(rflags & STATUS_FLAGS, 0);
        assert_eq!(monitor.read(ABSENT), 0);
        monitor.write(ABSENT, 5);
        assert_eq!(monitor.read(ABSENT), 5);

        // It cannot be accepted twice, and its neighbours are not there.
        assert_eq!(monitor.with_secinfo(EACCEPT, NEW, ABSENT, 0).1, MISMATCH);
        let next = monitor.address(ABSENT + PAGE);
        let (left, _) = monitor.try_read(next);
        assert_eq!(left, Left::page_fault(0x8005, next));
        monitor.recover(3);
        let statistics = enclave.statistics();
        assert_eq!((statistics.eaug, statistics.eaccept), (2, 1));
    });
}

#[test]
fn operands_are_checked() {
    in_own_process("pages::operands_are_checked", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let inside = |offset| monitor.address(offset);
        let outside = [0; 16];
        let outside = outside.as_ptr() as u64;
        let general_protection = |leaf, rbx, rcx, rdx| {
            let (left, ..) = monitor.leaf(leaf, rbx, rcx, rdx);
            assert_eq!(left.vector(), Some(13), "{leaf} {rbx:#x} {rcx:#x} {rdx:#x}");
            let (exit_info, _, _, rip) = monitor.report();
            assert_eq!((exit_info, rip), (0x8000_030d, programs::enclu()));
            monitor.recover(3);
        };
        // Leaf functions that enclaves do not have.
        for leaf in [2, 3, 8, 0xffff_ffff] {
            general_protection(leaf, inside(DATA), inside(ABSENT), 0);
        }
        monitor.write(DATA, NEW);
        for (rbx, rcx) in [
            (inside(DATA) + 8, inside(ABSENT)),
            (inside(DATA), inside(ABSENT) + 8),
            (outside & !63, inside(ABSENT)),
            (inside(DATA), 0x7000_0000_0000),
            (inside(DATA), inside(SIZE)),
            (inside(DATA), !0xfff),
        ] {
            general_protection(EACCEPT, rbx, rcx, 0);
            general_protection(EMODPE, rbx, rcx, 0);
            general_protection(EACCEPTCOPY, rbx, rcx, inside(CONSTANT));
        }
        general_protection(
            EACCEPTCOPY,
            inside(DATA),
            inside(ABSENT),
            inside(CONSTANT) + 8,
        );
        // SECINFO: reserved bits and fields, states that no page can have.
        for flags in [
            NEW | 1 << 6,
            NEW | 1 << 16,
            NEW | 1 << 63,
            NEW | MODIFIED,
            REGULAR | READ | WRITE,
            1 << 8 | PENDING,
            3 << 8 | PENDING,
        ] {
            monitor.write(DATA, flags);
            general_protection(EACCEPT, inside(DATA), inside(ABSENT), 0);
        }
        monitor.write(DATA, NEW);
        monitor.write(DATA + 56, 1);
        general_protection(EACCEPT, inside(DATA), inside(ABSENT), 0);
        monitor.write(DATA + 56, 0);
        monitor.write(DATA, REGULAR | WRITE);
        general_protection(EACCEPTCOPY, inside(DATA), inside(ABSENT), inside(CONSTANT));

        // A SECINFO in a page that is pending or cannot be read.
        let (left, ..) = monitor.leaf(EACCEPT, inside(ABSENT), inside(ABSENT + PAGE), 0);
        assert_eq!(left, Left::page_fault(0x8005, inside(ABSENT)));
        monitor.recover(3);
        let (left, ..) = monitor.leaf(EACCEPT, inside(THREADS[0]), inside(ABSENT), 0);
        assert_eq!(left, Left::page_fault(0x8005, inside(THREADS[0])));
        monitor.recover(3);
        let statistics = enclave.statistics();
        assert_eq!(
            (
                statistics.eaccept,
                statistics.emodpe,
                statistics.eacceptcopy
            ),
            (0, 0, 0)
        );
    });
}

#[test]
fn pages_are_accepted_as_copies() {
    in_own_process("pages::pages_are_accepted_as_copies", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let code = REGULAR | READ | EXECUTE;
        monitor.done(EACCEPTCOPY, code, ABSENT, 0);
        let place = ABSENT + programs::return_() % PAGE;
        if programs::return_() < PAGE {
            assert_eq!(monitor.call(monitor.address(place), 0).1, 0x5a);
        }
        assert_eq!(monitor.read(ABSENT), monitor.read(0));
        let address = monitor.address(ABSENT);
        assert_eq!(
            monitor.try_write(address, 0),
            Left::page_fault(0x8007, address)
        );
        monitor.recover(3);
        // Only a pending page can take a copy, and only a readable one be copied.
        assert_eq!(
            monitor.with_secinfo(EACCEPTCOPY, code, ABSENT, 0).1,
            MISMATCH
        );
        let (left, ..) = monitor.with_secinfo(EACCEPTCOPY, code, ABSENT + PAGE, THREADS[0]);
        assert_eq!(left, Left::page_fault(0x8005, monitor.address(THREADS[0])));
    });
}

#[test]
fn code_is_made_by_extending_and_restricting() {
    in_own_process("pages::code_is_made_by_extending_and_restricting", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let address = monitor.address(ABSENT);
        monitor.done(EACCEPT, NEW, ABSENT, 0);
        // mov eax, 0x2a; ret
        monitor.write(ABSENT, 0xc300_0000_2ab8);
        assert_eq!(
            monitor.call(address, 0).0,
            Left::page_fault(0x8015, address)
        );
        // Go back to the caller by hand: skip to the `ret` of another snippet.
        let to_return = monitor.address(programs::return_()).wrapping_sub(address);
        monitor.recover(to_return);

        monitor.done(EMODPE, REGULAR | READ | EXECUTE, ABSENT, 0);
        assert_eq!(monitor.call(address, 0), (Left::Exit, 0x2a, monitor.tcs));
        monitor.write(ABSENT, 0xc300_0000_2bb8);

        assert_eq!(
            enclave.restrict(ABSENT, 1, (READ | EXECUTE) as u8).unwrap(),
            1
        );
        // Restricted at once, and accepted for the enclave to know.
        assert_eq!(
            monitor.try_write(address, 0),
            Left::page_fault(0x8007, address)
        );
        monitor.recover(3);
        let restricted = REGULAR | READ | EXECUTE | RESTRICTED;
        assert_eq!(
            monitor
                .with_secinfo(EACCEPT, restricted | WRITE, ABSENT, 0)
                .1,
            MISMATCH
        );
        monitor.done(EACCEPT, restricted, ABSENT, 0);
        assert_eq!(monitor.call(address, 0), (Left::Exit, 0x2b, monitor.tcs));
        let statistics = enclave.statistics();
        assert_eq!((statistics.emodpe, statistics.emodpr), (1, 1));
    });
}

#[test]
fn restriction_stops_at_pages_that_cannot_be() {
    in_own_process("pages::restriction_stops_at_pages_that_cannot_be", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let read = READ as u8;
        monitor.done(EACCEPT, NEW, ABSENT, 0);
        monitor.done(EACCEPT, NEW, ABSENT + PAGE, 0);
        let (left, _) = monitor.try_read(monitor.address(ABSENT + 2 * PAGE));
        assert_eq!(left.vector(), Some(14));
        monitor.recover(3);

        assert_eq!(enclave.restrict(ABSENT, 4, read).unwrap(), 2);
        let error =
            |offset, pages, permissions| enclave.restrict(offset, pages, permissions).unwrap_err();
        assert!(matches!(
            error(ABSENT + 2 * PAGE, 2, read),
            LeafError::NotModifiable { .. }
        ));
        assert!(matches!(
            error(ABSENT + 3 * PAGE, 1, read),
            LeafError::PageFault { .. }
        ));
        assert!(matches!(
            error(THREADS[0], 1, read),
            LeafError::PageFault { .. }
        ));
        for (offset, pages, permissions) in [
            (ABSENT, 1, WRITE as u8),
            (ABSENT, 1, 8 | read),
            (ABSENT + 1, 1, read),
            (ABSENT, 0, read),
            (ABSENT, u64::MAX, read),
            (0, SIZE / PAGE + 1, read),
            (u64::MAX - PAGE + 1, 1, read),
        ] {
            assert!(matches!(
                error(offset, pages, permissions),
                LeafError::GeneralProtection(_)
            ));
        }
    });
}

#[test]
fn pages_are_removed_once_the_enclave_has_accepted_that() {
    in_own_process(
        "pages::pages_are_removed_once_the_enclave_has_accepted_that",
        || {
            const TRIMMED: u64 = 4 << 8;
            let enclave = enclave(programs::monitor());
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let address = monitor.address(ABSENT);
            let is_refused = |result: Result<u64, LeafError>| {
                matches!(result, Err(LeafError::NotModifiable { .. }))
            };
            monitor.done(EACCEPT, NEW, ABSENT, 0);
            monitor.write(ABSENT, 5);
            assert!(is_refused(enclave.remove(ABSENT, 1)), "it is in use");
            assert_eq!(
                enclave.trim(ABSENT, 2).unwrap(),
                1,
                "the next one is absent"
            );
            let (left, _) = monitor.try_read(address);
            assert_eq!(left, Left::page_fault(0x8005, address));
            monitor.recover(3);
            assert!(is_refused(enclave.remove(ABSENT, 1)), "nobody accepted it");
            assert!(is_refused(enclave.trim(ABSENT, 1)));
            // It is not what it was, and has no access.
            let (_, result, _) =
                monitor.with_secinfo(EACCEPT, TRIMMED | MODIFIED | READ, ABSENT, 0);
            assert_eq!(result, MISMATCH);
            assert_eq!(monitor.with_secinfo(EACCEPT, NEW, ABSENT, 0).1, MISMATCH);
            monitor.done(EACCEPT, TRIMMED | MODIFIED, ABSENT, 0);
            let (left, _) = monitor.try_read(address);
            assert_eq!(left, Left::page_fault(0x8005, address));
            monitor.recover(3);
            assert_eq!(monitor.with_secinfo(EACCEPT, NEW, ABSENT, 0).1, MISMATCH);
            assert_eq!(enclave.remove(ABSENT, 1).unwrap(), 1);
            assert!(is_refused(enclave.remove(ABSENT, 1)));
            // One that takes its place is a new one.
            monitor.done(EACCEPT, NEW, ABSENT, 0);
            assert_eq!(monitor.read(ABSENT), 0);
            assert!(matches!(
                enclave.trim(THREADS[0], 1),
                Err(LeafError::PageFault { .. })
            ));
            let statistics = enclave.statistics();
            assert_eq!((statistics.emodt, statistics.eremove), (1, 1));
        },
    );
}

#[test]
fn threads_change_pages_at_once() {
    in_own_process("pages::threads_change_pages_at_once", || {
        const ROUNDS: u64 = 60;
        let enclave = enclave(programs::monitor());
        // Each accepts pages of its own, with a SECINFO of its own.
        let accept = |thread: u64| {
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, thread as usize);
            let secinfo = DATA + thread * 64;
            monitor.write(secinfo, NEW);
            for round in 0..ROUNDS {
                let page = ABSENT + (2 * round + thread) * PAGE;
                let (left, rax, _) =
                    monitor.leaf(EACCEPT, monitor.address(secinfo), monitor.address(page), 0);
                assert_eq!((left, rax), (Left::Exit, 0));
                monitor.write(page, round);
            }
            for round in 0..ROUNDS {
                assert_eq!(monitor.read(ABSENT + (2 * round + thread) * PAGE), round);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| accept(0));
            accept(1);
        });
        let statistics = enclave.statistics();
        assert_eq!(
            (statistics.eaug, statistics.eaccept),
            (2 * ROUNDS, 2 * ROUNDS)
        );
    });
}
