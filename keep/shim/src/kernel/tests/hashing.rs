//! The runtime's hashing, with a helper that comes and one that does not.

use enarx_wire_launch::{PIECE_SIZE, PieceDigests};

use super::*;
use crate::Hashing;

static FILE: [u8; 20 * PIECE_SIZE + 7] = [9; 20 * PIECE_SIZE + 7];

fn expected() -> [u8; 32] {
    PieceDigests::new([&FILE[..]]).finish()
}

/// Whether thread 1 may help; the Keep stops if it may not.
fn helps(machine: &'static Machine, hashing: &Hashing) -> bool {
    let helped = catch_unwind(AssertUnwindSafe(|| hashing.help(&machine)));
    let stopped = helped.map_err(|reason| *reason.downcast::<Stop>().unwrap());
    assert!(matches!(stopped, Ok(()) | Err(Stop::Thread)));
    stopped.is_ok()
}

fn machine() -> &'static Machine {
    let machine = Box::leak(Box::<Machine>::default());
    machine.thread.set(1);
    machine
}

#[test]
fn a_helper_is_asked_for_once_and_comes_once() {
    let (machine, hashing) = (machine(), Hashing::new());
    assert!(!helps(machine, &hashing), "before it is asked for");
    machine.reply(Operation::StartThread, 0, &[]);
    assert_eq!(hashing.digest(&machine, [&FILE[..]]), expected());
    assert_eq!(machine.seen(Operation::StartThread).len(), 1);
    machine.thread.set(2);
    assert!(!helps(machine, &hashing), "nobody asked for this one");
    machine.thread.set(1);
    assert!(helps(machine, &hashing), "late, but asked for");
    assert!(!helps(machine, &hashing));
}

#[test]
fn a_helper_that_is_denied_must_not_come() {
    let (machine, hashing) = (machine(), Hashing::new());
    let denied = -i64::from(linux_raw_sys::errno::EAGAIN);
    machine.reply(Operation::StartThread, denied, &[]);
    assert_eq!(hashing.digest(&machine, [&FILE[..]]), expected());
    assert!(!helps(machine, &hashing));
}

#[test]
fn both_come_to_the_same() {
    for _ in 0..20 {
        let (machine, helper, hashing) = (machine(), machine(), Hashing::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while machine.seen(Operation::StartThread).is_empty() {
                    core::hint::spin_loop();
                }
                hashing.help(&helper);
            });
            assert_eq!(hashing.digest(&machine, [&FILE[..]]), expected());
        });
    }
}
