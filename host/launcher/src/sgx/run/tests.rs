use std::sync::mpsc::{Receiver, channel};

use enarx_wire_hostcall::call::Operation;

use super::super::fake::{Entry, FakeEnclave, keep};
use super::*;
use crate::service::{Outside, Threads};

/// Runs the first thread of `enclave`, and gives the status with which the Keep ended.
fn run(enclave: FakeEnclave, threads: u32) -> (i32, Outside) {
    let (keep, outside) = keep(enclave, threads);
    let (sender, receiver) = channel();
    let threads = Threads::new(keep, threads, move |status| {
        // The test may have ended.
        let _ = sender.send(status);
    });
    std::thread::spawn(move || threads.run_first());
    (first(&receiver), outside)
}

fn first(receiver: &Receiver<i32>) -> i32 {
    receiver.recv().unwrap()
}

/// A script of steps, one for each entry.
fn steps(
    steps: Vec<fn(Entry<'_>) -> (u64, u64)>,
) -> impl FnMut(Entry<'_>) -> (u64, u64) + Send + 'static {
    let mut steps = steps.into_iter();
    move |entry| (steps.next().expect("another step"))(entry)
}

fn exit(entry: &Entry<'_>, status: u64) -> (u64, u64) {
    entry.call(Operation::Exit, [status, 0, 0, 0], b"")
}

const RESUME: (u64, u64) = (Leave::Resume as u64, 0);
const THREAD_ENDED: (u64, u64) = (Leave::ThreadEnded as u64, 0);

#[test]
fn requests_are_answered_until_the_keep_ends() {
    let enclave = FakeEnclave::new();
    enclave.thread(
        0,
        steps(vec![
            |entry| {
                assert_eq!(entry.leaf, EENTER);
                entry.call(Operation::Diagnose, [0; 4], b"one line\n")
            },
            |entry| {
                assert_eq!((entry.leaf, entry.result()), (EENTER, 0));
                entry.call(Operation::Send, [4, 0, 0, 0], b"x")
            },
            |entry| {
                assert_eq!(entry.result(), -i64::from(libc::EBADF));
                exit(&entry, 5)
            },
        ]),
    );
    let (status, outside) = run(enclave, 1);
    assert_eq!(status, 5);
    assert_eq!(outside.diagnostics(), "one line\n");
}

#[test]
fn exceptions_go_to_the_handler_in_the_enclave_and_then_the_thread_goes_on() {
    let enclave = FakeEnclave::new();
    enclave.thread(
        0,
        steps(vec![
            |mut entry| entry.exception(ERESUME, 6, 0),
            |entry| {
                assert_eq!(entry.leaf, EENTER);
                RESUME
            },
            |mut entry| {
                assert_eq!(entry.leaf, ERESUME);
                entry.exception(ERESUME, 14, 0x1000)
            },
            // The handler asks something itself.
            |entry| {
                assert_eq!(entry.leaf, EENTER);
                entry.call(Operation::Clock, [0; 4], b"")
            },
            |entry| {
                assert_eq!((entry.leaf, entry.result()), (EENTER, 0));
                RESUME
            },
            |entry| {
                assert_eq!(entry.leaf, ERESUME);
                exit(&entry, 0)
            },
        ]),
    );
    assert_eq!(run(enclave, 1).0, 0);
}

#[test]
fn what_cannot_go_on_is_stopped_and_the_operator_told_why() {
    type Step = fn(Entry<'_>) -> (u64, u64);
    let cases: [(Step, &str); 6] = [
        (
            |mut entry| {
                let base = entry.run.tcs - 0x200_1000;
                entry.exception(EENTER, 13, base + 0x5000)
            },
            "refused to be entered: vector 13, error code 0x0, offset 0x5000",
        ),
        (
            |mut entry| entry.exception(ERESUME, 12, 8),
            "its handler cannot see: vector 12, error code 0x0, address 0x8",
        ),
        (
            |_| (Leave::Abort as u64, 42),
            "refuses to go on (reason 42)",
        ),
        (|_| (4, 0), "left with code 4"),
        (|_| (1 << 32, 0), "left with code 4294967296"),
        (
            |entry| {
                let left = entry.call(Operation::Clock, [0; 4], b"");
                // SAFETY: the word of the operation in the block.
                unsafe { ((entry.block + 8) as *mut u64).write_volatile(99) };
                left
            },
            "unknown operation 99",
        ),
    ];
    for (step, expected) in cases {
        let enclave = FakeEnclave::new();
        enclave.thread(0, step);
        let (status, outside) = run(enclave, 1);
        assert_eq!(status, STOPPED_STATUS, "{expected}");
        let diagnostics = outside.diagnostics();
        assert!(diagnostics.contains(expected), "{diagnostics}");
        assert!(diagnostics.ends_with('\n'));
    }
}

#[test]
fn threads_are_started_again_and_the_last_one_ends_the_keep() {
    let enclave = FakeEnclave::new();
    let start = |entry: Entry<'_>| entry.call(Operation::StartThread, [1, 0, 0, 0], b"");
    enclave.thread(
        0,
        steps(vec![
            start,
            |entry| {
                assert_eq!(entry.result(), 0);
                entry.call(Operation::Park, [u64::MAX, 0, 0, 0], b"")
            },
            // The other thread has said that it ends, and may not have ended yet.
            start,
            |entry| {
                assert_eq!(entry.result(), 0);
                entry.call(Operation::StartThread, [2, 0, 0, 0], b"")
            },
            |entry| {
                assert_eq!(entry.result(), -i64::from(libc::ESRCH));
                THREAD_ENDED
            },
        ]),
    );
    let unpark = |entry: Entry<'_>| entry.call(Operation::Unpark, [0; 4], b"");
    enclave.thread(
        1,
        steps(vec![
            unpark,
            |_| THREAD_ENDED,
            |entry| {
                assert_eq!(entry.leaf, EENTER);
                entry.call(Operation::Diagnose, [0; 4], b"again")
            },
            |_| THREAD_ENDED,
        ]),
    );
    let (status, outside) = run(enclave, 2);
    assert_eq!(status, 0);
    assert_eq!(outside.diagnostics(), "again");
}

#[test]
fn any_thread_can_end_the_keep() {
    let enclave = FakeEnclave::new();
    enclave.thread(
        0,
        steps(vec![
            |entry| entry.call(Operation::StartThread, [1, 0, 0, 0], b""),
            |entry| entry.call(Operation::Park, [u64::MAX, 0, 0, 0], b""),
        ]),
    );
    enclave.thread(1, |entry| exit(&entry, 9));
    assert_eq!(run(enclave, 2).0, 9);
}
