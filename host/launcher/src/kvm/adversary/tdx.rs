//! What only a host that plays TDX can do. The TDX module itself does not lie: what its host answers are
//! two registers, and the buffer of quotes.

use std::collections::BTreeSet;

use enarx_wire_launch::Platform;
use enarx_wire_launch::vm::layout;

use super::host::{Act, End, Hand, Moment, TDX_FUNCTION, TDX_STATUS};
use super::{Counts, GIVEN_BACK, at, is_exit, program, some, stop, taken_away, try_all};

/// What the domain asks its host for (`TDG.VP.VMCALL`).
const MAP_PAGES: u64 = 0x1_0001;
const GET_QUOTE: u64 = 0x1_0002;

/// The first argument of that: of pages, their address.
const ARGUMENT: u64 = layout::TDX_CALL + 8 * 7;

/// Words of the buffer of quotes.
const QUOTE_STATUS: u64 = layout::TDX_QUOTE + 8;
const QUOTE_LENGTHS: u64 = layout::TDX_QUOTE + 16;
const QUOTE: u64 = layout::TDX_QUOTE + 24;

#[test]
fn keeps_in_played_tdx_are_right_or_stop() {
    try_all(Platform::Tdx, |counts| {
        let seen = look();
        println!("{seen:?}");
        exits(&seen, counts);
        mappings(&seen, counts);
        taken_away(&seen.changes, seen.exits, counts);
        quotes(&seen, counts);
        given_back(counts);
    });
}

/// What an honest host sees of the Keep.
#[derive(Debug, Clone, Default)]
struct Seen {
    exits: usize,
    changes: Vec<u64>,
    quotes: usize,
}

fn look() -> Seen {
    super::look(
        Platform::Tdx,
        0,
        |seen: &mut Seen, moment, hand| match moment {
            Moment::After(code) => {
                seen.exits += 1;
                seen.quotes += usize::from(code == GET_QUOTE);
            }
            Moment::Before(MAP_PAGES, _) => seen.changes.push(hand.unwrap().read(ARGUMENT)),
            _ => {}
        },
    )
}

/// Errors, of whatever was asked for.
fn exits(seen: &Seen, counts: &mut Counts) {
    for index in 0..seen.exits {
        for error in [2, 1 << 63, u64::MAX] {
            let act = at(index, is_exit, move |_, hand| hand.write(TDX_STATUS, error));
            // Quotes can be refused. At the last exit, the runtime has ended.
            let last = index + 1 == seen.exits;
            counts.expect("error", act, |end| match end {
                End::Stopped(stop::TEE | stop::PAGE) | End::Denied => true,
                end => last && end == End::Right,
            });
        }
    }
}

/// Pages that were not made private, or others than those; and goes without an end.
fn mappings(seen: &Seen, counts: &mut Counts) {
    const RETRY: u64 = 1;
    let is_done = |moment: &Moment<'_>| matches!(moment, Moment::After(MAP_PAGES));
    let is_asked = |moment: &Moment<'_>| matches!(moment, Moment::Before(MAP_PAGES, _));
    for (index, page) in seen.changes.iter().copied().enumerate() {
        // Where it has begun, before that, behind the end.
        for next in [page, 0, page - 0x1000, u64::MAX] {
            let act = at(index, is_done, move |_, hand| {
                hand.write(TDX_STATUS, RETRY);
                hand.write(TDX_FUNCTION, next);
            });
            counts.expect("next", act, |end| end == End::Stopped(stop::PAGE));
        }
        let act = at(index, is_asked, |moment, _| {
            if let Moment::Before(_, does) = moment {
                *does = false;
            }
        });
        counts.expect("not mapped", act, |end| end == End::Halted);
        let act = at(index, is_asked, |_, hand| {
            hand.write(ARGUMENT, hand.read(ARGUMENT) + 0x1000);
        });
        counts.expect("other pages", act, |end| end == End::Halted);
        // The same page in the place of the one that was accepted.
        let act = at(index + 1, is_asked, move |_, hand| {
            hand.take_away(page);
            hand.accept(page);
        });
        counts.expect("accepted", act, |end| {
            matches!(end, End::Right | End::Halted | End::Stopped(_))
        });
    }
}

/// What the host writes into the buffer of quotes.
fn quotes(seen: &Seen, counts: &mut Counts) {
    assert_eq!(seen.quotes, usize::from(program::REPORTS));
    let is_quote = |moment: &Moment<'_>| matches!(moment, Moment::After(GET_QUOTE));
    let lies: [(u64, u64); 8] = [
        (TDX_STATUS, 1),
        (TDX_STATUS, 1 << 63),
        (QUOTE_STATUS, 1),
        (QUOTE_STATUS, 1 << 63),
        (QUOTE_LENGTHS, 0),
        (QUOTE_LENGTHS, 1024),
        (QUOTE_LENGTHS, u64::MAX),
        (QUOTE_LENGTHS, (layout::TDX_QUOTE_SIZE - 23) << 32),
    ];
    for index in 0..seen.quotes {
        for (word, lie) in lies {
            let act = at(index, is_quote, move |_, hand| hand.write(word, lie));
            counts.expect("quote", act, |end| end == End::Denied);
        }
        // Its signature is its owner's to verify.
        let forge = |hand: &Hand| hand.write(QUOTE, hand.read(QUOTE) ^ u64::MAX);
        let act = at(index, is_quote, move |_, hand| forge(hand));
        counts.expect("forged", act, |end| end == End::Forged);
        let act = at(index, is_quote, |_, hand| {
            hand.write(QUOTE_LENGTHS, (layout::TDX_QUOTE_SIZE - 24) << 32);
        });
        counts.expect("long", act, |end| matches!(end, End::Forged | End::Denied));
    }
}

/// What an honest host sees of memory that the domain gives back: numbers of mappings, and their addresses.
#[derive(Debug, Clone, Default)]
struct GivenBack {
    mappings: usize,
    /// Those that make pages shared.
    shared: Vec<(usize, u64)>,
    /// Those that make such pages private again.
    again: Vec<(usize, u64)>,
    pages: BTreeSet<u64>,
}

const MARK: u64 = layout::TDX_SHARED_PLAYED;
const LARGE: usize = layout::LARGE_PAGE as usize;
const SIZE: u64 = ARGUMENT + 8;

fn look_at_given_back() -> GivenBack {
    super::look(
        Platform::Tdx,
        GIVEN_BACK,
        |seen: &mut GivenBack, moment, hand| {
            if let Moment::Before(MAP_PAGES, _) = moment {
                let hand = hand.unwrap();
                let page = hand.read(ARGUMENT);
                let now = (seen.mappings, page);
                if page & MARK != 0 {
                    let end = page + hand.read(SIZE);
                    seen.pages
                        .extend(((page..end).step_by(LARGE)).map(|page| page & !MARK));
                    seen.shared.push(now);
                } else if seen.pages.contains(&page) {
                    seen.again.push(now);
                }
                seen.mappings += 1;
            }
        },
    )
}

/// Memory that the domain gives back: the host does not take it, takes a part, or others; and what comes in its
/// place is accepted already.
fn given_back(counts: &mut Counts) {
    let seen = look_at_given_back();
    println!("{seen:?}");
    assert!(seen.shared.len() >= 3 && seen.again.len() >= 8);
    shared(&seen, counts);
    used_again(&seen, counts);
    never_taken(counts);
}

fn shared(seen: &GivenBack, counts: &mut Counts) {
    const RETRY: u64 = 1;
    let is_done = |moment: &Moment<'_>| matches!(moment, Moment::After(MAP_PAGES));
    let is_asked = |moment: &Moment<'_>| matches!(moment, Moment::Before(MAP_PAGES, _));
    let refused = |end| end == End::Stopped(stop::PAGE);
    for index in some(seen.shared.len()) {
        let (index, page) = seen.shared[index];
        for error in [2, 1 << 63, u64::MAX] {
            let act = at(index, is_done, move |_, hand| hand.write(TDX_STATUS, error));
            counts.expect_giving_back("error", act, refused);
        }
        for next in [page, page & !MARK, page - 0x1000, u64::MAX] {
            let act = at(index, is_done, move |_, hand| {
                hand.write(TDX_STATUS, RETRY);
                hand.write(TDX_FUNCTION, next);
            });
            counts.expect_giving_back("next", act, refused);
        }
        // What is not used again is nobody's; of what is, the module knows better.
        let act = at(index, is_asked, |moment, _| {
            if let Moment::Before(_, does) = moment {
                *does = false;
            }
        });
        counts.expect_giving_back("not taken", act, |end| {
            matches!(end, End::Right | End::Halted)
        });
        for (word, change) in [(ARGUMENT, 0x1000), (SIZE, 0x1000_u64.wrapping_neg())] {
            let act = at(index, is_asked, move |_, hand| {
                hand.write(word, hand.read(word).wrapping_add(change));
            });
            counts.expect_giving_back("other pages", act, |end| {
                matches!(end, End::Right | End::Halted | End::Stopped(_))
            });
        }
    }
}

fn used_again(seen: &GivenBack, counts: &mut Counts) {
    let is_done = |moment: &Moment<'_>| matches!(moment, Moment::After(MAP_PAGES));
    for index in some(seen.again.len()) {
        let (index, page) = seen.again[index];
        let act = at(index, is_done, move |_, hand| {
            hand.spoil(page, layout::LARGE_PAGE);
        });
        counts.expect_giving_back("spoilt", act, |end| end == End::Right);
        let act = at(index, is_done, move |_, hand| hand.accept(page));
        counts.expect_giving_back("accepted", act, |end| end == End::Stopped(stop::PAGE));
        let act = at(index + 1, is_done, move |_, hand| hand.take_away(page));
        counts.expect_giving_back("taken away", act, |end| {
            matches!(end, End::Right | End::Halted | End::Stopped(stop::PAGE))
        });
    }
}

/// A host that takes nothing, and says of all of it that it is the domain's again: it was accepted before.
fn never_taken(counts: &mut Counts) {
    let mut kept = BTreeSet::new();
    let act: Act = Box::new(move |moment, hand| {
        let Moment::Before(MAP_PAGES, does) = moment else {
            return;
        };
        let hand = hand.unwrap();
        let (page, size) = (hand.read(ARGUMENT), hand.read(SIZE));
        if page & MARK != 0 {
            kept.extend((page..page + size).step_by(LARGE).map(|page| page & !MARK));
        }
        *does = !kept.contains(&(page & !MARK));
    });
    counts.expect_giving_back("never taken", act, |end| end == End::Stopped(stop::PAGE));
}
