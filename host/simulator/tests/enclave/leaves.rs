//! EREPORT, EGETKEY and EEXIT.

use crate::harness::{CONSTANT, DATA, Left, Monitor, PAGE, enclave, fast_enclave, in_own_process};
use crate::programs;

const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;

#[test]
fn reports_come_from_the_hardware() {
    in_own_process("leaves::reports_come_from_the_hardware", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let (target_info, data, output) = (DATA, DATA + 0x200, DATA + 0x400);
        monitor.write(target_info, 0x1111);
        monitor.write(data + 56, 0x2222);
        let address = |offset| monitor.address(offset);
        let (left, _, rflags) = monitor.leaf(
            EREPORT,
            address(target_info),
            address(data),
            address(output),
        );
        assert_eq!(left, Left::Exit);
        assert_eq!(rflags & 1, 1, "flags are not changed");
        let mrenclave = u64::from_le_bytes(*enclave.identity().mrenclave.first_chunk().unwrap());
        assert_eq!(monitor.read(output), mrenclave);
        assert_eq!(monitor.read(output + 32), 0x1111);
        assert_eq!(monitor.read(output + 64 + 56), 0x2222);

        for (rbx, rcx, rdx) in [
            (target_info + 256, data, output),
            (target_info, data + 64, output),
            (target_info, data, output + 256),
        ] {
            let (left, ..) = monitor.leaf(EREPORT, address(rbx), address(rcx), address(rdx));
            assert_eq!(left.vector(), Some(13));
            monitor.recover(3);
        }
        let (left, ..) = monitor.leaf(
            EREPORT,
            address(target_info),
            address(data),
            address(CONSTANT),
        );
        assert_eq!(left, Left::page_fault(0x8007, address(CONSTANT)));
        monitor.recover(3);
        assert_eq!(enclave.statistics().ereport, 1);
    });
}

#[test]
fn keys_come_from_the_hardware() {
    in_own_process("leaves::keys_come_from_the_hardware", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        let (request, output) = (monitor.address(DATA), monitor.address(DATA + 0x200));
        monitor.write(DATA, 0x77_0004);
        let (left, rax, rflags) = monitor.leaf(EGETKEY, request, output, 0);
        assert_eq!((left, rax, rflags & 0x8d5), (Left::Exit, 0, 0));
        assert_eq!(monitor.read(DATA + 0x208), 0x7777_7777_7777_7777);
        monitor.write(DATA, 9);
        let (left, rax, rflags) = monitor.leaf(EGETKEY, request, output, 0);
        assert_eq!((left, rax, rflags & 0x8d5), (Left::Exit, 256, 0x40));
        for (request, output) in [(request + 16, output), (request, output + 8)] {
            let (left, ..) = monitor.leaf(EGETKEY, request, output, 0);
            assert_eq!(left.vector(), Some(13));
            monitor.recover(3);
        }
        assert_eq!(enclave.statistics().egetkey, 1);
    });
}

#[test]
fn exits_lead_outside() {
    in_own_process("leaves::exits_lead_outside", || {
        let enclave = enclave(programs::monitor());
        let _attachment = enclave.attach_thread().unwrap();
        let monitor = Monitor::new(enclave, 0);
        for target in [1 << 62, monitor.address(0), monitor.address(15 * PAGE)] {
            let (left, ..) = monitor.call(monitor.address(programs::leave()), target);
            assert_eq!(left.vector(), Some(13), "{target:#x}");
            monitor.recover(3);
        }
        assert_eq!(monitor.sum(1, 1), (2, 0));
    });
}

#[test]
fn segment_bases_are_the_tcs_and_the_hosts_come_back() {
    in_own_process(
        "leaves::segment_bases_are_the_tcs_and_the_hosts_come_back",
        || {
            thread_local! {
                static OWN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
            }
            let enclave = enclave(programs::monitor());
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            OWN.set(5);
            let base = monitor.tcs + 5 * PAGE;
            let (left, fs, gs) = monitor.call(monitor.address(programs::bases()), 0);
            assert_eq!((left, fs, gs), (Left::Exit, base, base));
            assert_eq!(OWN.get(), 5);
        },
    );
}

#[test]
fn a_fast_enclave_is_measured_and_behaves_alike() {
    in_own_process(
        "leaves::a_fast_enclave_is_measured_and_behaves_alike",
        || {
            let (enclave, mrenclave) = fast_enclave(programs::monitor());
            assert_eq!(enclave.identity().mrenclave, mrenclave);
            let _attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let (request, output) = (monitor.address(DATA), monitor.address(DATA + 0x200));
            monitor.write(DATA, 0x77_0004);
            for _ in 0..3 {
                let (left, rax, _) = monitor.leaf(EGETKEY, request, output, 0);
                assert_eq!((left, rax), (Left::Exit, 0));
            }
            assert_eq!(enclave.statistics().egetkey, 3);
            // Those that were executed are replaced, in one byte, and others are not.
            let end = programs::pages().len() as u64 * PAGE;
            let code = (0..end).step_by(8).map(|offset| monitor.read(offset));
            let code: Vec<u8> = code.flat_map(u64::to_le_bytes).collect();
            let count = |wanted: [u8; 3]| code.windows(3).filter(|bytes| *bytes == wanted).count();
            assert!(count([0xf4, 0x01, 0xd7]) >= 2);
            assert!(count([0x0f, 0x01, 0xd7]) >= 1);
            // Exceptions are what they were.
            let (left, ..) = monitor.leaf(99, 0, 0, 0);
            assert_eq!(left.vector(), Some(13));
            monitor.recover(3);
        },
    );
}
