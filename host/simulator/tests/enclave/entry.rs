//! EENTER, EEXIT, asynchronous exits and ERESUME.

use std::sync::Barrier;

use enarx_host_simulator::sgx::enclave::SgxEnclaveRun;

use crate::harness::{
    ABSENT, CONSTANT, Left, Monitor, PAGE, READ, SIZE, TCS, THREADS, Words, call, enclave,
    enclave_from, enclave_of, enter, in_own_process, layout, secs, tcs,
};
use crate::programs;

#[test]
fn goes_in_and_out() {
    in_own_process("entry::goes_in_and_out", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        for number in 0..1000 {
            assert_eq!(monitor.sum(number, 5), (number + 5, 0));
        }
        let statistics = enclave.statistics();
        assert_eq!((statistics.eenter, statistics.eexit), (1000, 1000));
    });
}

#[test]
fn keeps_an_interrupted_state() {
    in_own_process("entry::keeps_an_interrupted_state", || {
        let enclave = enclave(programs::preserve());
        let _attachment = enclave.attach_thread().unwrap();
        let tcs = Monitor::new(enclave, 0).tcs;
        let mut words = Words::default();
        let left = enter(2, tcs, &mut words);
        assert_eq!(
            left,
            Left::Exception {
                function: 3,
                vector: 6,
                error_code: 0,
                address: 0
            }
        );
        assert_eq!(enter(2, tcs, &mut words), Left::Exit);
        assert_eq!(words.rdi, 0x8000_0306);
        assert_eq!(words.rsi, 0x1f80, "MXCSR after an asynchronous exit");
        assert_eq!(enter(3, tcs, &mut words), Left::Exit);
        assert_eq!(words.rdi, 0, "the number of the check that failed");
    });
}

#[test]
fn an_enclave_without_avx_is_interrupted_and_resumed() {
    in_own_process(
        "entry::an_enclave_without_avx_is_interrupted_and_resumed",
        || {
            let mut secs = secs();
            secs[56] = 3;
            let enclave = enclave_of(&secs, programs::monitor());
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let left = monitor.call(monitor.address(programs::ud2()), 0).0;
            assert_eq!(left.vector(), Some(6));
            let frame = THREADS[0] + PAGE;
            assert_eq!(monitor.read(frame + 512) & !3, 0, "XSTATE_BV");
            assert_eq!(monitor.read(frame + 576), 0, "where AVX's state would be");
            monitor.recover(2);
            assert_eq!(enclave.identity().attributes.xfrm, 3);
        },
    );
}

#[test]
fn nests_as_deep_as_there_are_frames() {
    in_own_process("entry::nests_as_deep_as_there_are_frames", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let ud2 = monitor.address(programs::ud2());

        // Nothing to resume yet.
        assert_eq!(monitor.resume().0.vector(), Some(13));
        for depth in 0..2 {
            assert_eq!(monitor.sum(0, 0).1, depth);
            assert_eq!(monitor.call(ud2, 0).0.vector(), Some(6));
        }
        // Both frames are taken.
        let left = enter(2, monitor.tcs, &mut Words::default());
        assert_eq!(left.refusal(), Some(13));
        // The inner exception happens again, since nothing moved the code on.
        assert_eq!(monitor.resume().0.vector(), Some(6));
        let left = enter(2, monitor.tcs, &mut Words::default());
        assert_eq!(left.refusal(), Some(13));
        let statistics = enclave.statistics();
        assert_eq!((statistics.eenter, statistics.eresume), (4, 1));
        assert_eq!(statistics.aex[6], 3);
    });
}

#[test]
fn refuses_a_tcs_with_wrong_fields() {
    in_own_process("entry::refuses_a_tcs_with_wrong_fields", || {
        let changes: [fn(&mut [u8; 4096]); 8] = [
            // DBGOPTIN is for debuggers to set later, and AEXNOTIFY an attribute's to allow.
            |tcs| tcs[8] = 2,
            |tcs| tcs[15] = 1,
            // OSSA: not aligned, and outside.
            |tcs| tcs[16] = 1,
            |tcs| tcs[23] = 0xff,
            // NSSA, OENTRY, OFSBASE, OGSBASE.
            |tcs| tcs[28..32].fill(0),
            |tcs| tcs[39] = 1,
            |tcs| tcs[48] = 1,
            |tcs| tcs[63] = 0x7f,
        ];
        let mut pages = layout(programs::monitor());
        for (number, change) in (3..).zip(changes) {
            let offset = number * 0x10000;
            let mut contents = tcs(THREADS[0], programs::monitor(), 2);
            change(&mut contents);
            pages.push((offset, TCS, contents));
        }
        let enclave = enclave_from(&secs(), &pages);
        let _attachment = enclave.attach_thread().unwrap();
        for number in 3..11 {
            let tcs = enclave.base() + number * 0x10000;
            let left = enter(2, tcs, &mut Words::default());
            assert_eq!(left.refusal(), Some(13), "{number}");
        }
        assert_eq!(Monitor::new(enclave, 0).sum(1, 1), (2, 0));
    });
}

#[test]
fn refuses_what_is_not_a_free_tcs() {
    in_own_process("entry::refuses_what_is_not_a_free_tcs", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let base = enclave.base();
        for (tcs, vector) in [
            (base + THREADS[0] + 8, 13),
            (base + CONSTANT, 14),
            (base + ABSENT, 14),
            (base - PAGE, 14),
            (base + SIZE, 14),
            (0, 14),
            (!0xfff, 14),
        ] {
            let left = enter(2, tcs, &mut Words::default());
            assert_eq!(left.refusal(), Some(vector), "{tcs:#x}");
        }
        assert_eq!(enclave.statistics().eenter, 0);
    });
}

#[test]
fn refuses_misuse_of_the_run_structure() {
    in_own_process("entry::refuses_misuse_of_the_run_structure", || {
        let enclave = enclave(programs::monitor());
        let tcs = enclave.base() + THREADS[0];
        let invalid = -libc::EINVAL;
        assert_eq!(
            call(2, &mut SgxEnclaveRun::new(tcs)),
            invalid,
            "not attached"
        );
        let attachment = enclave.attach_thread().unwrap();
        assert!(enclave.attach_thread().is_err());
        for leaf in [0, 1, 4, 5, u32::MAX] {
            assert_eq!(call(leaf, &mut SgxEnclaveRun::new(tcs)), invalid);
        }
        let mut run = SgxEnclaveRun::new(tcs);
        run.user_handler = 1;
        assert_eq!(call(2, &mut run), invalid);
        let mut run = SgxEnclaveRun::new(tcs);
        run.reserved[215] = 1;
        assert_eq!(call(2, &mut run), invalid);
        assert_eq!(call(2, &mut SgxEnclaveRun::new(tcs)), 0);
        drop(attachment);
        assert_eq!(call(2, &mut SgxEnclaveRun::new(tcs)), invalid);
        let _attachment = enclave.attach_thread().unwrap();
        assert_eq!(call(2, &mut SgxEnclaveRun::new(tcs)), 0);
    });
}

#[test]
fn checks_a_state_before_it_resumes_it() {
    in_own_process("entry::checks_a_state_before_it_resumes_it", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let frame = THREADS[0] + PAGE;
        let general = frame + PAGE - 184;
        let left = monitor.call(monitor.address(programs::ud2()), 0).0;
        assert_eq!(left.vector(), Some(6));
        // XSTATE_BV, XCOMP_BV, MXCSR, RIP, FSBASE, GSBASE.
        for (offset, wrong) in [
            (frame + 512, 1 << 3),
            (frame + 520, 1 << 63),
            (frame + 24, 1 << 16),
            (general + 136, 1 << 62),
            (general + 168, 1 << 62),
            (general + 176, 1 << 62),
        ] {
            let right = monitor.read(offset);
            monitor.write(offset, wrong);
            let left = monitor.resume().0;
            assert_eq!(left.vector(), Some(13), "{offset:#x}");
            monitor.write(offset, right);
        }
        // RFLAGS that code cannot have: IOPL, NT, TF.
        let rflags = monitor.read(general + 128);
        monitor.write(general + 128, rflags | 0x7100);
        monitor.recover(2);
        assert_eq!(monitor.sum(2, 2), (4, 0));

        // A frame that cannot be written.
        enclave.restrict(frame, 1, READ as u8).unwrap();
        let left = enter(2, monitor.tcs, &mut Words::default());
        assert_eq!(left.refusal(), Some(14));
    });
}

#[test]
fn threads_run_at_once() {
    in_own_process("entry::threads_run_at_once", || {
        const ROUNDS: u64 = 200;
        let enclave = enclave(programs::monitor());
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let barrier = &barrier;
                scope.spawn(move || {
                    let _attachment = enclave.attach_thread().unwrap();
                    let monitor = Monitor::new(enclave, thread);
                    barrier.wait();
                    for round in 0..ROUNDS {
                        assert_eq!(monitor.sum(round, 1), (round + 1, 0));
                        let left = monitor.call(monitor.address(programs::ud2()), 0).0;
                        assert_eq!(left.vector(), Some(6));
                        monitor.recover(2);
                        let (left, _) = monitor.try_read(1 << 62);
                        assert_eq!(left.vector(), Some(13));
                        monitor.recover(3);
                    }
                });
            }
        });
        let statistics = enclave.statistics();
        assert_eq!(statistics.aex[6], 2 * ROUNDS);
        assert_eq!(statistics.aex[13], 2 * ROUNDS);
    });
}

#[test]
fn a_busy_tcs_is_refused() {
    in_own_process("entry::a_busy_tcs_is_refused", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        // The first thread waits in the enclave until this word changes.
        let word = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            let word = &word;
            scope.spawn(move || {
                let _attachment = enclave.attach_thread().unwrap();
                let monitor = Monitor::new(enclave, 0);
                let wait = monitor.address(programs::wait());
                assert_eq!(monitor.call(wait, word.as_ptr() as u64).0, Left::Exit);
            });
            while word.load(std::sync::atomic::Ordering::Acquire) != 1 {
                std::thread::yield_now();
            }
            let left = enter(2, monitor.tcs, &mut Words::default());
            assert_eq!(left.refusal(), Some(13));
            let left = enter(3, monitor.tcs, &mut Words::default());
            assert_eq!(left.vector(), Some(13));
            word.store(2, std::sync::atomic::Ordering::Release);
        });
        assert_eq!(monitor.sum(1, 0), (1, 0));
    });
}
