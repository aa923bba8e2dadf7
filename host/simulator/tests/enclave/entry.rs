//! EENTER, EEXIT, asynchronous exits and ERESUME.

use crate::harness::{Left, Monitor, Words, enclave, enter, in_own_process};
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
