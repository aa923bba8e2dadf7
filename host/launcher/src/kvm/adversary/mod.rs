//! Keeps whose hosts lie, where they play a TEE and where there is none: each of them ends right, knows
//! that it was refused something, or stops, and its secret is never where the host can read (but where
//! there is no TEE, in all that it can read anyway).

mod host;
mod program;
mod snp;
mod tdx;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use enarx_wire_hostcall::call::{Operation, PAYLOAD_OFFSET};
use enarx_wire_launch::Platform;
use enarx_wire_launch::vm::{FilePlace, layout};

use super::software;
use host::{Act, End, Hand, Intruder, Moment, run, run_giving_back};

/// Reasons for which a Keep stops itself (`enarx-keep-shim`, `Stop`).
mod stop {
    pub const SEQUENCE: u8 = 1;
    pub const RESULT: u8 = 2;
    pub const LENGTH: u8 = 3;
    pub const RUNTIME: u8 = 7;
    pub const LAUNCH: u8 = 8;
    pub const PAGE: u8 = 9;
    pub const TEE: u8 = 15;
}

/// Keeps of one kind, and what they came to.
struct Counts {
    platform: Platform,
    ends: BTreeMap<String, usize>,
}

impl Counts {
    fn expect(&mut self, what: &str, act: Act, allowed: impl Fn(End) -> bool) {
        self.expect_with(what, act, None, allowed);
    }

    fn expect_with(
        &mut self,
        what: &str,
        act: Act,
        intruder: Option<Intruder>,
        allowed: impl Fn(End) -> bool,
    ) {
        let end = run(self.platform, act, intruder);
        self.count(what, end, allowed);
    }

    /// The same with a program that gives [`GIVEN_BACK`] bytes back again and again.
    fn expect_giving_back(&mut self, what: &str, act: Act, allowed: impl Fn(End) -> bool) {
        let end = run_giving_back(self.platform, act, None, GIVEN_BACK);
        self.count(what, end, allowed);
    }

    fn count(&mut self, what: &str, end: End, allowed: impl Fn(End) -> bool) {
        assert!(allowed(end), "{what}: {end:?}");
        *self.ends.entry(format!("{end:?}")).or_default() += 1;
    }
}

/// Tries what hosts of every kind can do, and then `own`.
fn try_all(platform: Platform, own: impl FnOnce(&mut Counts)) {
    if let Err(error) = super::machine::open_kvm() {
        println!("nothing tried: /dev/kvm: {error}");
        return;
    }
    let mut counts = Counts {
        platform,
        ends: BTreeMap::new(),
    };
    let calls = look(platform, 0, |calls, moment, _| {
        *calls += usize::from(is_answer(&moment));
    });
    boot_pages(&mut counts);
    answers(calls, &mut counts);
    intruders(calls, &mut counts);
    own(&mut counts);
    let all: usize = counts.ends.values().sum();
    println!(
        "{platform:?}: {all} Keeps with hostile hosts: {:?}",
        counts.ends
    );
}

/// Without a TEE, all that a host can do there it can do elsewhere too.
#[test]
fn keeps_in_machines_without_a_tee_are_right_or_stop() {
    try_all(Platform::Kvm, given_back);
}

/// Memory that the Keep gives back, and what the host says to that: what comes in its place is not zeros
/// because the host says so.
fn given_back(counts: &mut Counts) {
    const OPERATION: u64 = 8;
    const ARGUMENTS: u64 = 24;
    const RESULT: u64 = 72;
    let mut expect = |lie: u64, end: End| {
        let given = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&given);
        let act: Act = Box::new(move |moment, hand| {
            let Some(hand) = hand.filter(|_| is_answer(&moment)) else {
                return;
            };
            if hand.read(OPERATION) == Operation::GiveBack as u64 {
                let bytes = hand.read(ARGUMENTS + 8);
                hand.spoil(hand.read(ARGUMENTS), bytes);
                hand.write(RESULT, lie);
                *seen.lock().unwrap() += bytes;
            }
        });
        counts.expect_giving_back("given back", act, |ended| ended == end);
        let given = *given.lock().unwrap();
        let rounds = if end == End::Right {
            program::ROUNDS
        } else {
            1
        };
        assert!(
            given >= u64::from(rounds) * u64::from(GIVEN_BACK / 2),
            "{given}"
        );
    };
    expect(0, End::Right);
    expect((-22i64).cast_unsigned(), End::Right);
    expect(1, End::Stopped(stop::RESULT));
    expect(1 << 63, End::Stopped(stop::RESULT));
}

/// Bytes that a program gives back.
const GIVEN_BACK: u32 = 24 << 20;

/// What an honest host notes of a Keep whose program gives so many bytes back again and again.
fn look<T: Default + Send + 'static>(
    platform: Platform,
    given_back: u32,
    note: impl Fn(&mut T, Moment<'_>, Option<&Hand>) + Send + 'static,
) -> T {
    let noted = Arc::new(Mutex::new(T::default()));
    let notes = Arc::clone(&noted);
    let act: Act = Box::new(move |moment, hand| note(&mut notes.lock().unwrap(), moment, hand));
    assert_eq!(run_giving_back(platform, act, None, given_back), End::Right);
    Arc::into_inner(noted).unwrap().into_inner().unwrap()
}

/// Of so many things, the first, the last and some between them.
fn some(count: usize) -> impl Iterator<Item = usize> {
    let step = (count / 4).max(1);
    (0..count).step_by(step).chain(count.checked_sub(1))
}

/// Acts at the moment number `at` of those that `is` says.
fn at(
    at: usize,
    is: impl Fn(&Moment<'_>) -> bool + Send + 'static,
    mut act: impl FnMut(Moment<'_>, &Hand) + Send + 'static,
) -> Act {
    let mut count = 0;
    Box::new(move |moment, hand| {
        if !is(&moment) {
            return;
        }
        if count == at {
            act(moment, hand.unwrap());
        }
        count += 1;
    })
}

const fn is_exit(moment: &Moment<'_>) -> bool {
    matches!(moment, Moment::After(_))
}

const fn is_answer(moment: &Moment<'_>) -> bool {
    matches!(moment, Moment::Answered)
}

/// How the host wants to be spoken to, as no host does; and the runtime's file said to be where it is not:
/// in memory that was accepted with anything in it, or that is not there.
fn boot_pages(counts: &mut Counts) {
    const DOORBELL: u32 = 16;
    const FILE: u32 = 32;
    let ring = software::body_ring() as u64;
    let elsewhere = match counts.platform {
        Platform::Kvm => FilePlace::Shared,
        _ => FilePlace::Private,
    };
    for (page, reason) in [
        (3, stop::LAUNCH),
        (ring ^ 1, stop::LAUNCH),
        (ring | 3 << DOORBELL, stop::LAUNCH),
        (ring | 3 << FILE, stop::LAUNCH),
        (u64::MAX, stop::LAUNCH),
        (ring | (elsewhere as u64) << FILE, stop::RUNTIME),
    ] {
        let act: Act = Box::new(move |moment, hand| {
            if let (Moment::Start, Some(hand)) = (moment, hand) {
                hand.write_boot_page(page);
            }
        });
        counts.expect("boot page", act, |end| {
            end == End::Stopped(reason) || end == End::Halted
        });
    }
}

/// Pages that are taken away, or replaced by others: those that are there at the launch, and `changed`.
fn taken_away(changed: &[u64], exits: usize, counts: &mut Counts) {
    let mut pages: Vec<u64> = [
        layout::SHIM,
        layout::SHIM_CONSTANTS,
        layout::SHIM_DATA,
        layout::LAUNCH_PAGE,
        layout::CPUID_PAGE,
        layout::FIRST_STACK.end - 0x1000,
    ]
    .into();
    pages.extend(changed);
    for page in pages {
        for index in (0..exits).step_by(5).chain([exits - 1]) {
            let act = at(index, is_exit, move |_, hand| hand.take_away(page));
            counts.expect("taken away", act, |end| {
                matches!(end, End::Right | End::Halted | End::Stopped(_))
            });
        }
    }
}

/// Answers to the Keep's own calls.
fn answers(calls: usize, counts: &mut Counts) {
    const ANSWER_SEQUENCE: u64 = 64;
    const ANSWER_RESULT: u64 = 72;
    const ANSWER_LENGTH: u64 = 80;
    for index in 0..calls {
        for (word, lies, reason) in [
            (ANSWER_SEQUENCE, [0, u64::MAX], stop::SEQUENCE),
            (ANSWER_RESULT, [1 << 62, 1 << 63], stop::RESULT),
            (ANSWER_LENGTH, [1 << 40, u64::MAX], stop::LENGTH),
        ] {
            for lie in lies {
                let act = at(index, is_answer, move |_, hand| hand.write(word, lie));
                counts.expect("answer", act, |end| end == End::Stopped(reason));
            }
        }
        let act = at(index, is_answer, |_, hand| {
            let word = PAYLOAD_OFFSET as u64;
            hand.write(word, hand.read(word) ^ u64::MAX);
        });
        // Without a TEE, evidence is such an answer.
        let forged = counts.platform == Platform::Kvm;
        counts.expect("payload", act, |end| match end {
            End::Forged => forged,
            End::Right | End::Denied | End::Stopped(_) => true,
            End::Halted => false,
        });
    }
}

/// Processors that nobody asked for. Before the first one has made page tables, they go nowhere; nor do
/// those ever whose index another one has, or that have none.
fn intruders(calls: usize, counts: &mut Counts) {
    for after in 0..=calls {
        let asks_for_thread = Some(Intruder { after, index: 1 });
        counts.expect_with("intruder", honest(), asks_for_thread, |end| match after {
            0 => end == End::Right,
            _ => matches!(end, End::Stopped(_)),
        });
    }
    for after in 1..=calls {
        for index in [0, layout::PROCESSORS, u32::MAX] {
            let intruder = Some(Intruder { after, index });
            counts.expect_with("twin", honest(), intruder, |end| end == End::Right);
        }
    }
}

fn honest() -> Act {
    Box::new(|_, _| {})
}
