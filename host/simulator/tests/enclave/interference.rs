//! What a hostile host does to an enclave.

use enarx_host_simulator::sgx::enclave::{INTERRUPT_VECTOR, Interference, ThreadAttachment};

use crate::harness::{Left, Monitor, SIZE, THREADS, Words, enclave, enter, in_own_process};
use crate::programs;

fn interrupted(addresses: std::ops::Range<u64>) -> Interference {
    let mut interference = Interference::default();
    interference.interrupted = addresses;
    interference
}

fn is_interrupt(left: Left) -> bool {
    matches!(left, Left::Exception { function: 3, vector, .. } if vector == INTERRUPT_VECTOR)
}

/// Enters, and resumes until something else than an interrupt ends it. Gives that, and
/// where the interrupts were.
fn resumed_often(
    attachment: &ThreadAttachment,
    leaf: u32,
    tcs: u64,
    words: &mut Words,
) -> (Left, Vec<u64>) {
    let mut places = Vec::new();
    let mut left = enter(leaf, tcs, words);
    while is_interrupt(left) {
        places.push(attachment.interrupted_at());
        left = enter(3, tcs, words);
    }
    (left, places)
}

#[test]
fn an_enclave_that_is_interrupted_everywhere_is_as_before() {
    in_own_process(
        "interference::an_enclave_that_is_interrupted_everywhere_is_as_before",
        || {
            let enclave = enclave(programs::preserve());
            let attachment = enclave.attach_thread().unwrap();
            let (start, tcs) = (enclave.base(), enclave.base() + THREADS[0]);
            attachment.interfere(&interrupted(start..start + SIZE));
            let mut words = Words::default();
            let (left, places) = resumed_often(&attachment, 2, tcs, &mut words);
            assert!(
                matches!(left, Left::Exception { vector: 6, .. }),
                "{left:?}"
            );
            // The first instruction is among them, and each is met once: there is no loop.
            assert_eq!(places[0], start + programs::preserve());
            let mut different = places.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), places.len());
            assert!(places.len() > 70, "{}", places.len());
            // Its handler, in the other state save area.
            let (left, places) = resumed_often(&attachment, 2, tcs, &mut words);
            assert_eq!((left, words.rdi), (Left::Exit, 0x8000_0306));
            assert!(places.len() > 30, "{}", places.len());
            let (left, _) = resumed_often(&attachment, 3, tcs, &mut words);
            assert_eq!(left, Left::Exit);
            assert_eq!(words.rdi, 0, "the number of the check that failed");
            assert!(enclave.statistics().interrupts > 200);
        },
    );
}

#[test]
fn an_interrupt_is_no_exception_to_the_enclave() {
    in_own_process(
        "interference::an_interrupt_is_no_exception_to_the_enclave",
        || {
            let enclave = enclave(programs::monitor());
            let attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let place = enclave.base() + programs::monitor() + 1;
            attachment.interfere(&interrupted(place..place + 8));
            let mut words = Words {
                rdx: 3,
                r8: 4,
                ..Words::default()
            };
            assert!(is_interrupt(enter(2, monitor.tcs, &mut words)));
            let met = attachment.interrupted_at();
            attachment.interfere(&Interference::default());
            let (information, _, _, rip) = monitor.report();
            assert_eq!((information, rip), (0, met - enclave.base()));
            let (left, words) = monitor.resume();
            assert_eq!((left, words.rdi, words.rsi), (Left::Exit, 7, 0));
        },
    );
}

#[test]
fn flags_reach_the_enclave_and_no_others_than_a_program_can_set() {
    in_own_process(
        "interference::flags_reach_the_enclave_and_no_others_than_a_program_can_set",
        || {
            const RFLAGS: u64 = 0xff8 - 184 + 8 + 128;
            let enclave = enclave(programs::monitor());
            let attachment = enclave.attach_thread().unwrap();
            let monitor = Monitor::new(enclave, 0);
            let start = enclave.base();
            let mut interference = interrupted(start..start + SIZE);
            interference.entry_flags = u64::MAX;
            attachment.interfere(&interference);
            assert!(is_interrupt(enter(2, monitor.tcs, &mut Words::default())));
            attachment.interfere(&Interference::default());
            // Status flags, DF, AC, ID, and what is always set; no TF.
            let flags = monitor.read(THREADS[0] + 0x1000 + RFLAGS);
            assert_eq!(flags & !0x202, 0x24_0cd5, "{flags:#x}");
            // Its next entry is without them.
            assert_eq!(monitor.sum(1, 2), (3, 1));
        },
    );
}
