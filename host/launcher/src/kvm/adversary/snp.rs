//! What only a host that plays SEV-SNP can do.

use std::collections::{BTreeMap, BTreeSet};

use enarx_wire_launch::Platform;
use enarx_wire_launch::vm::{GuestPageKind, layout};

use super::host::{Act, End, Hand, Moment};
use super::{Counts, GIVEN_BACK, at, is_exit, program, some, stop, taken_away, try_all};

/// Exit codes of a GHCB.
const PAGE_STATE_CHANGE: u64 = 0x8000_0010;
const GUEST_REQUEST: u64 = 0x8000_0011;

/// Offsets of fields of a GHCB from a processor's block.
const FIRST: u64 = layout::GHCB + 0x398;
const SECOND: u64 = layout::GHCB + 0x3A0;
const LIST: u64 = layout::GHCB + 0x800;

#[test]
fn keeps_in_played_snp_are_right_or_stop() {
    try_all(Platform::Snp, |counts| {
        let seen = look();
        println!("{seen:?}");
        registers(&seen, counts);
        validations(&seen, counts);
        exits(&seen, counts);
        pages(&seen, counts);
        messages(&seen, counts);
        firmware_pages(counts);
        given_back(counts);
    });
}

/// What an honest host sees of the Keep.
#[derive(Debug, Clone, Default)]
struct Seen {
    registers: usize,
    validations: usize,
    exits: usize,
    changes: Vec<u64>,
    messages: usize,
}

/// What an honest host sees.
fn look() -> Seen {
    super::look(
        Platform::Snp,
        0,
        |seen: &mut Seen, moment, hand| match moment {
            Moment::Read(register, _) if is_validation(register) => seen.validations += 1,
            Moment::Read(..) => seen.registers += 1,
            Moment::After(code) => {
                seen.exits += 1;
                seen.messages += usize::from(code == GUEST_REQUEST);
            }
            Moment::Before(PAGE_STATE_CHANGE, _) => {
                let entry = hand.unwrap().read(LIST + 8);
                seen.changes.push(entry & 0x000F_FFFF_FFFF_F000);
            }
            _ => {}
        },
    )
}

fn is_validation(register: u64) -> bool {
    layout::DOORBELL + register == layout::played::PVALIDATE
}

const fn is_message(moment: &Moment<'_>) -> bool {
    matches!(moment, Moment::After(GUEST_REQUEST))
}

/// What the hypervisor says by the register alone: version, bit, features, where the page lies.
fn registers(seen: &Seen, counts: &mut Counts) {
    let is = |moment: &Moment<'_>| matches!(moment, Moment::Read(register, _) if !is_validation(*register));
    for index in 0..seen.registers {
        for lie in [
            |_| 0,
            |_| u64::MAX,
            |value: u64| value ^ 1,
            |value| value ^ 1 << 12,
            |value| value ^ 1 << 24,
            |value| value ^ 1 << 32 ^ 1 << 48,
        ] {
            let act = at(index, is, move |moment, _| {
                if let Moment::Read(_, value) = moment {
                    *value = lie(*value);
                }
            });
            // Without a GHCB it cannot even say why it stops; and of some bits nothing depends.
            counts.expect("register", act, |end| {
                matches!(end, End::Stopped(stop::TEE) | End::Halted | End::Right)
            });
        }
    }
}

/// A page that cannot be validated, or that was validated already, is never used.
fn validations(seen: &Seen, counts: &mut Counts) {
    let is = |moment: &Moment<'_>| matches!(moment, Moment::Read(register, _) if is_validation(*register));
    for index in 0..seen.validations {
        for lie in [1, 6, 1 << 32, u64::MAX] {
            let act = at(index, is, move |moment, _| {
                if let Moment::Read(_, value) = moment {
                    *value = lie;
                }
            });
            counts.expect("validation", act, |end| end == End::Stopped(stop::PAGE));
        }
    }
}

/// Errors of the hypervisor's, and lists of pages that it says it is through with.
fn exits(seen: &Seen, counts: &mut Counts) {
    for index in 0..seen.exits {
        for error in [1, 2, u64::MAX] {
            let act = at(index, is_exit, move |_, hand| hand.write(FIRST, error));
            // At the last one, the runtime has ended.
            let last = index + 1 == seen.exits;
            counts.expect("error", act, |end| {
                matches!(end, End::Stopped(_)) || last && end == End::Right
            });
        }
    }
    let is_change = |moment: &Moment<'_>| matches!(moment, Moment::After(PAGE_STATE_CHANGE));
    let is_asked = |moment: &Moment<'_>| matches!(moment, Moment::Before(PAGE_STATE_CHANGE, _));
    for index in 0..seen.changes.len() {
        let act = at(index, is_change, |_, hand| hand.write(SECOND, 1));
        counts.expect("status", act, |end| end == End::Stopped(stop::PAGE));
        // Not at all, backwards.
        for header in [0, 0xFFFF_0000] {
            let act = at(index, is_change, move |_, hand| hand.write(LIST, header));
            counts.expect("list", act, |end| end == End::Stopped(stop::PAGE));
        }
        // Further than it goes; without doing anything.
        for does in [true, false] {
            let mut count = 0;
            let act: Act = Box::new(move |moment, hand| {
                let now = count == index;
                match moment {
                    Moment::Before(PAGE_STATE_CHANGE, done) if now => *done = does,
                    Moment::After(PAGE_STATE_CHANGE) => {
                        if now {
                            let hand = hand.unwrap();
                            hand.write(FIRST, 0);
                            hand.write(SECOND, 0);
                            hand.write(LIST, 0xFFFF);
                        }
                        count += 1;
                    }
                    _ => {}
                }
            });
            counts.expect("list", act, |end| match does {
                true => end == End::Right,
                false => end == End::Stopped(stop::PAGE),
            });
        }
        // Other pages than were asked for.
        let act = at(index, is_asked, |_, hand| {
            hand.write(LIST + 8, hand.read(LIST + 8) + 0x1000);
        });
        counts.expect("other pages", act, |end| end == End::Stopped(stop::PAGE));
    }
}

/// Pages that are validated behind the guest's back, dropped, or replaced by others.
fn pages(seen: &Seen, counts: &mut Counts) {
    let is_change = |moment: &Moment<'_>| matches!(moment, Moment::After(PAGE_STATE_CHANGE));
    for (index, page) in seen.changes.iter().copied().enumerate() {
        let act = at(index, is_change, move |_, hand| hand.accept(page));
        counts.expect("accepted", act, |end| end == End::Stopped(stop::PAGE));
    }
    taken_away(&seen.changes, seen.exits, counts);
}

/// What the host makes of messages to the firmware.
fn messages(seen: &Seen, counts: &mut Counts) {
    const RESPONSE: u64 = layout::GUEST_RESPONSE;
    assert_eq!(seen.messages, usize::from(program::REPORTS));
    for index in 0..seen.messages {
        let header = [0, 8, 0x20, 0x30, 0x38, 0x60];
        let payload = (0x68..0x60 + 32 + 1184).step_by(64);
        for offset in header.into_iter().chain(payload) {
            let act = at(index, is_message, move |_, hand| {
                let at = RESPONSE + offset / 8 * 8;
                hand.write(at, hand.read(at) ^ 1 << (offset % 64));
            });
            counts.expect("forged", act, |end| end == End::Denied);
        }
        // The request itself, and nothing.
        for from in [Some(layout::GUEST_REQUEST), None] {
            let act = at(index, is_message, move |_, hand| {
                for word in (0..4096).step_by(8) {
                    let value = from.map_or(0, |from| hand.read(from + word));
                    hand.write(RESPONSE + word, value);
                }
            });
            counts.expect("reflected", act, |end| end == End::Denied);
        }
        for status in [1, 0x16, 1 << 32, 3 << 32, u64::MAX] {
            let act = at(index, is_message, move |_, hand| hand.write(SECOND, status));
            counts.expect("status", act, |end| end == End::Denied);
        }
    }
    replayed(counts);
    busy(counts);
}

/// The answer to an earlier request.
fn replayed(counts: &mut Counts) {
    let mut earlier: Vec<u64> = Vec::new();
    let act: Act = Box::new(move |moment, hand| {
        if let (true, Some(hand)) = (is_message(&moment), hand) {
            for (index, word) in (0..4096).step_by(8).enumerate() {
                match earlier.get(index) {
                    Some(value) => hand.write(layout::GUEST_RESPONSE + word, *value),
                    None => earlier.push(hand.read(layout::GUEST_RESPONSE + word)),
                }
            }
        }
    });
    counts.expect("replayed", act, |end| end == End::Denied);
}

/// A firmware that is busy at first is asked the same again, with the same bytes: no initialization vector
/// is ever used for others.
fn busy(counts: &mut Counts) {
    const BUSY: u64 = 2 << 32;
    for times in [1, 5, 2000] {
        let (mut left, mut requests) = (times, BTreeMap::new());
        let act: Act = Box::new(move |moment, hand| match (moment, hand) {
            (Moment::Before(GUEST_REQUEST, does), Some(hand)) => {
                let words = (0..4096).step_by(8);
                let request: Vec<_> = words
                    .map(|word| hand.read(layout::GUEST_REQUEST + word))
                    .collect();
                let sequence = request[4];
                let same = requests.entry(sequence).or_insert_with(|| request.clone());
                assert_eq!(*same, request);
                *does = left == 0;
            }
            (Moment::After(GUEST_REQUEST), Some(hand)) if left > 0 => {
                left -= 1;
                hand.write(FIRST, 0);
                hand.write(SECOND, BUSY);
            }
            _ => {}
        });
        let expected = if times > 1000 {
            End::Denied
        } else {
            End::Right
        };
        counts.expect("busy", act, |end| end == expected);
    }
}

/// Pages that say what no SEV-SNP machine is.
fn firmware_pages(counts: &mut Counts) {
    let lies: [(GuestPageKind, usize, u8); 5] = [
        // More entries than there can be.
        (GuestPageKind::Cpuid, 0, 65),
        (GuestPageKind::Cpuid, 3, 1),
        // Not SEV-SNP; another bit; another function.
        (GuestPageKind::Cpuid, 16 + 24, 0),
        (GuestPageKind::Cpuid, 16 + 28, 51),
        (GuestPageKind::Cpuid, 16, 0),
    ];
    let secrets = (GuestPageKind::Secrets, 0, 1);
    for (kind, offset, value) in lies.into_iter().chain([secrets]) {
        let act: Act = Box::new(move |moment, _| {
            if let Moment::Load(loaded, contents) = moment
                && loaded == kind
            {
                contents[offset] = value;
            }
        });
        counts.expect("firmware page", act, |end| end == End::Stopped(stop::TEE));
    }
    // With another key there is no firmware for the guest.
    let act: Act = Box::new(|moment, _| {
        if let Moment::Load(GuestPageKind::Secrets, contents) = moment {
            contents[0x20] ^= 1;
        }
    });
    counts.expect("other key", act, |end| end == End::Denied);
}

/// What an honest host sees of memory that the Keep gives back.
#[derive(Debug, Clone, Default)]
struct GivenBack {
    /// Changes of pages, and results of PVALIDATE, so far.
    changes: usize,
    validations: usize,
    /// Whether the latest change that nobody has validated yet made pages private.
    is_private: bool,
    /// Numbers of the results that are of pages which the guest gives up.
    rescinded: Vec<usize>,
    /// Numbers of the changes to shared pages, and the first page of each.
    shared: Vec<(usize, u64)>,
    /// Numbers of the changes by which pages that were shared become private again, and these.
    again: Vec<(usize, u64)>,
    pages: BTreeSet<u64>,
}

/// The pages in the list, and whether they are to be private.
fn listed(hand: &Hand) -> (Vec<u64>, bool) {
    let last = hand.read(LIST) >> 16 & 0xFFFF;
    let entries: Vec<_> = (0..=last).map(|at| hand.read(LIST + 8 + 8 * at)).collect();
    let pages = entries.iter().map(|entry| entry & 0x000F_FFFF_FFFF_F000);
    (pages.collect(), entries[0] >> 52 & 0xF == 1)
}

fn look_at_given_back() -> GivenBack {
    super::look(
        Platform::Snp,
        GIVEN_BACK,
        |seen: &mut GivenBack, moment, hand| match moment {
            Moment::Before(PAGE_STATE_CHANGE, _) => {
                let (pages, is_private) = listed(hand.unwrap());
                seen.is_private = is_private;
                if !is_private {
                    seen.shared.push((seen.changes, pages[0]));
                    seen.pages.extend(pages);
                } else if seen.pages.contains(&pages[0]) {
                    seen.again.push((seen.changes, pages[0]));
                }
                seen.changes += 1;
            }
            Moment::Read(register, _) if is_validation(register) => {
                if !std::mem::take(&mut seen.is_private) {
                    seen.rescinded.push(seen.validations);
                }
                seen.validations += 1;
            }
            _ => {}
        },
    )
}

/// Memory that the Keep gives back: pages that were not the guest's to give up, that the host does not take, takes
/// in part, or has validated when they are to be used again.
fn given_back(counts: &mut Counts) {
    let seen = look_at_given_back();
    println!("{seen:?}");
    assert!(seen.shared.len() >= 3 && seen.again.len() >= 8);
    rescinded(&seen, counts);
    shared(&seen, counts);
    used_again(&seen, counts);
    never_taken(counts);
}

fn rescinded(seen: &GivenBack, counts: &mut Counts) {
    let is = |moment: &Moment<'_>| matches!(moment, Moment::Read(register, _) if is_validation(*register));
    for index in some(seen.rescinded.len()) {
        for lie in [1, 6, 1 << 32, u64::MAX] {
            let act = at(seen.rescinded[index], is, move |moment, _| {
                if let Moment::Read(_, value) = moment {
                    *value = lie;
                }
            });
            counts.expect_giving_back("rescinded", act, |end| end == End::Stopped(stop::PAGE));
        }
    }
    // Another page in the place of one that the guest is to give up next: that one would stay validated.
    let (_, first) = seen.shared[0];
    let act = at(seen.rescinded[0], is, move |_, hand| {
        hand.take_away(first + layout::LARGE_PAGE);
    });
    counts.expect_giving_back("another page", act, |end| end == End::Stopped(stop::PAGE));
}

/// The host refuses to take memory back, or says that it took more or less than it did.
fn shared(seen: &GivenBack, counts: &mut Counts) {
    const LARGE: u64 = 1 << 56;
    let is_change = |moment: &Moment<'_>| matches!(moment, Moment::After(PAGE_STATE_CHANGE));
    let is_asked = |moment: &Moment<'_>| matches!(moment, Moment::Before(PAGE_STATE_CHANGE, _));
    let refused = |end| end == End::Stopped(stop::PAGE);
    // What is not used again is nobody's.
    let found = |end| matches!(end, End::Stopped(stop::PAGE) | End::Right);
    for (index, _) in seen.shared.iter().copied() {
        let act = at(index, is_change, |_, hand| hand.write(FIRST, 1));
        counts.expect_giving_back("error", act, |end| end == End::Stopped(stop::TEE));
        let act = at(index, is_change, |_, hand| hand.write(SECOND, 1));
        counts.expect_giving_back("status", act, refused);
        for header in [0, 0xFFFF_0000] {
            let act = at(index, is_change, move |_, hand| hand.write(LIST, header));
            counts.expect_giving_back("list", act, refused);
        }
        for change in [
            // Others than the guest gives up, a part of them, and what they are already.
            |entry: u64| entry + 0x1000,
            |entry: u64| entry & !LARGE,
            |entry: u64| entry ^ 3 << 52,
        ] {
            let act = at(index, is_asked, move |_, hand| {
                hand.write(LIST + 8, change(hand.read(LIST + 8)));
            });
            counts.expect_giving_back("other pages", act, found);
        }
        let mut count = 0;
        let act: Act = Box::new(move |moment, hand| match moment {
            Moment::Before(PAGE_STATE_CHANGE, does) => *does = count != index,
            Moment::After(PAGE_STATE_CHANGE) => {
                if count == index {
                    pretend(hand.unwrap());
                }
                count += 1;
            }
            _ => {}
        });
        counts.expect_giving_back("not taken", act, found);
    }
}

/// Says that all of a list was done.
fn pretend(hand: &Hand) {
    hand.write(FIRST, 0);
    hand.write(SECOND, 0);
    hand.write(LIST, 0xFFFF);
}

/// What comes instead of memory that was given back: anything, but once.
fn used_again(seen: &GivenBack, counts: &mut Counts) {
    let is_change = |moment: &Moment<'_>| matches!(moment, Moment::After(PAGE_STATE_CHANGE));
    for index in some(seen.again.len()) {
        let (index, page) = seen.again[index];
        let act = at(index, is_change, move |_, hand| {
            hand.spoil(page, layout::LARGE_PAGE);
        });
        counts.expect_giving_back("spoilt", act, |end| end == End::Right);
        let act = at(index, is_change, move |_, hand| hand.accept(page));
        counts.expect_giving_back("accepted", act, |end| end == End::Stopped(stop::PAGE));
        let act = at(index + 1, is_change, move |_, hand| hand.take_away(page));
        counts.expect_giving_back("taken away", act, |end| {
            matches!(end, End::Right | End::Halted | End::Stopped(stop::PAGE))
        });
    }
}

/// A host that takes nothing, and says of all of it that it is the guest's again: the guest finds what was there.
fn never_taken(counts: &mut Counts) {
    let mut kept = BTreeSet::new();
    let mut pretends = false;
    let act: Act = Box::new(move |moment, hand| match moment {
        Moment::Before(PAGE_STATE_CHANGE, does) => {
            let (pages, is_private) = listed(hand.unwrap());
            if !is_private {
                kept.extend(pages.iter().copied());
            }
            pretends = pages.iter().all(|page| kept.contains(page));
            *does = !pretends;
        }
        Moment::After(PAGE_STATE_CHANGE) if pretends => pretend(hand.unwrap()),
        _ => {}
    });
    counts.expect_giving_back("never taken", act, |end| end == End::Right);
}
