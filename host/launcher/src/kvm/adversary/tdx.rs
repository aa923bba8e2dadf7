//! What only a host that plays TDX can do. The TDX module itself does not lie: what its host answers are
//! two registers, and the buffer of quotes.

use enarx_wire_launch::Platform;
use enarx_wire_launch::vm::layout;

use super::host::{End, Hand, Moment, TDX_FUNCTION, TDX_STATUS};
use super::{Counts, at, is_exit, program, stop, taken_away, try_all};

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
