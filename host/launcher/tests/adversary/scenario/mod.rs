//! What a hostile host does, case by case.

mod answers;
mod entering;
mod pages;
mod registers;
mod threads;

use super::host::{EENTER, ERESUME, Ending, Honest, Host};
use super::program::{DENIED, RIGHT};
use answers::{Answers, CLOCKS, Clock, LIES};
use entering::{EntersInsteadOfResuming, Interrupts, Meanwhile, ResumesCall};
use pages::{PAGES, Removes, Replays, Restricts, RestrictsUnasked, TakesAway};
use registers::{BLOCKS, EXTENDED, GivesBlock, JUNK, LeavesJunk, SetsExtended};
use threads::{
    DeniesHelp, DeniesThread, RestartsThread, StartsUnasked, StartsUnaskedAt, TakesTurns,
    stand_still,
};

/// A way to be hostile.
pub struct Scenario {
    pub name: &'static str,
    /// How many variants it has, if an honest run has so many calls. Each gets a Keep of its own.
    pub variants: fn(calls: usize) -> usize,
    /// Runs a Keep to its end.
    pub run: fn(&mut Host, variant: usize) -> Ending,
    /// What must come of it.
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Keep runs as if nothing had happened.
    Right,
    /// The Keep stops, or the processor refuses.
    Stopped,
    /// One of both, or the program is told that the host does not do something.
    Either,
}

impl Outcome {
    /// Whether a Keep may end so.
    pub fn permits(self, ending: &Ending) -> bool {
        match ending {
            Ending::Exited(RIGHT) => self != Self::Stopped,
            Ending::Exited(DENIED) => self == Self::Either,
            Ending::Exited(_) => false,
            _ => self != Self::Right,
        }
    }
}

const ONE: fn(usize) -> usize = |_| 1;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "honest",
        variants: ONE,
        run: |host, _| host.run(&mut Honest),
        outcome: Outcome::Right,
    },
    Scenario {
        name: "interrupts at every instruction of the shim",
        variants: ONE,
        run: |host, _| {
            host.interrupt_everywhere(0);
            host.run(&mut Interrupts::default())
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "EENTER instead of ERESUME after an interrupt at every instruction",
        variants: ONE,
        run: |host, _| {
            host.interrupt_everywhere(0);
            host.run(&mut Interrupts {
                enters: true,
                ..Interrupts::default()
            })
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "the same with every flag that a host can set",
        variants: ONE,
        run: |host, _| {
            host.interrupt_everywhere(u64::MAX);
            host.run(&mut Interrupts {
                enters: true,
                ..Interrupts::default()
            })
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "EENTER instead of ERESUME after an exception was handled",
        variants: |_| 3,
        run: |host, variant| {
            host.run(&mut EntersInsteadOfResuming {
                times: variant as u32 + 1,
                done: 0,
            })
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "ERESUME instead of EENTER while a call waits",
        variants: |calls| calls,
        run: |host, variant| {
            host.run(&mut ResumesCall {
                at: variant,
                meanwhile: Meanwhile::Nothing,
            })
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "the same, interrupted at once and entered",
        variants: |calls| calls,
        run: |host, variant| {
            host.run(&mut ResumesCall {
                at: variant,
                meanwhile: Meanwhile::Interrupt,
            })
        },
        outcome: Outcome::Either,
    },
    Scenario {
        name: "the same, with a page fault at once, and entered",
        variants: |calls| calls,
        run: |host, variant| {
            host.run(&mut ResumesCall {
                at: variant,
                meanwhile: Meanwhile::PageFault,
            })
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "a thread that nobody asked for",
        variants: |calls| calls + 1,
        run: |host, variant| host.run(&mut StartsUnasked { at: variant }),
        outcome: Outcome::Either,
    },
    Scenario {
        name: "a thread that nobody asked for, while the first one begins",
        variants: |_| 60,
        run: |host, variant| {
            host.interrupt_everywhere(0);
            host.run(&mut StartsUnaskedAt {
                interrupts: variant as u64 * 67 + 1,
            })
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "threads that take turns at any instruction",
        variants: |_| 30,
        run: |host, variant| {
            host.run(&mut TakesTurns {
                random: variant as u64,
                // A few from where the runtime is hashed.
                after: usize::from(variant >= 3),
            })
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "the first thread while the second one is relocating the shim",
        variants: |_| 120,
        run: |host, variant| {
            // Densely in the beginning, then some way into the loop.
            let interrupts = if variant < 80 {
                variant
            } else {
                80 + (variant - 80) * 9
            };
            stand_still(host, interrupts);
            let ending = host.run(&mut Honest);
            // Pointers that are not relocated would lead there.
            assert!(!matches!(ending, Ending::Faulted(_)), "{ending:?}");
            ending
        },
        outcome: Outcome::Either,
    },
    Scenario {
        name: "a thread that runs and is said not to",
        variants: |_| 3,
        run: |host, variant| {
            host.run(&mut DeniesThread {
                variant,
                helped: false,
            })
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "a thread that helps before the Keep is told that it does not",
        variants: ONE,
        run: |host, _| {
            host.run(&mut DeniesHelp {
                late: false,
                denied: None,
            })
        },
        outcome: Outcome::Right,
    },
    Scenario {
        name: "a thread that comes to help after the Keep is told that it does not",
        variants: ONE,
        run: |host, _| {
            host.run(&mut DeniesHelp {
                late: true,
                denied: None,
            })
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "a thread that has ended, again",
        variants: |_| 2,
        run: |host, variant| {
            host.run(&mut RestartsThread {
                leaf: [EENTER, ERESUME][variant],
            })
        },
        outcome: Outcome::Either,
    },
    Scenario {
        name: "blocks that are none",
        variants: |_| BLOCKS.len(),
        run: |host, variant| {
            let block = BLOCKS[variant](host.enclave.base());
            host.run(&mut GivesBlock(block))
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "junk in the registers at every entry",
        variants: |_| JUNK.len(),
        run: |host, variant| host.run(&mut LeavesJunk(JUNK[variant])),
        outcome: Outcome::Right,
    },
    Scenario {
        name: "a hostile extended state at every entry",
        variants: |_| EXTENDED.len(),
        run: |host, variant| host.run(&mut SetsExtended(EXTENDED[variant])),
        outcome: Outcome::Right,
    },
    Scenario {
        name: "wrong answers to every call",
        variants: |calls| calls * LIES.len(),
        run: |host, variant| {
            host.run(&mut Answers {
                at: variant / LIES.len(),
                lie: LIES[variant % LIES.len()],
            })
        },
        outcome: Outcome::Either,
    },
    Scenario {
        name: "clocks that cannot be",
        variants: |_| CLOCKS.len(),
        run: |host, variant| host.run(&mut Clock(CLOCKS[variant])),
        outcome: Outcome::Either,
    },
    Scenario {
        name: "restrictions that are not what was asked for",
        variants: |_| 5,
        run: |host, variant| {
            if variant == 4 {
                host.skip_restrictions();
            }
            host.run(&mut Restricts(variant))
        },
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "pages that are unmapped and not removed",
        variants: |_| 4,
        run: |host, variant| host.run(&mut Removes(variant)),
        outcome: Outcome::Stopped,
    },
    Scenario {
        name: "restrictions that nobody asked for",
        variants: |calls| calls * PAGES.len(),
        run: |host, variant| {
            host.run(&mut RestrictsUnasked {
                at: variant / PAGES.len(),
                page: PAGES[variant % PAGES.len()],
            })
        },
        outcome: Outcome::Either,
    },
    Scenario {
        name: "pages that are taken away, for which fresh ones come",
        variants: |calls| calls,
        run: |host, variant| host.run(&mut TakesAway { at: variant }),
        outcome: Outcome::Either,
    },
    Scenario {
        name: "older, altered and moved pages in place of those that were taken",
        variants: ONE,
        run: |host, _| host.run(&mut Replays::default()),
        outcome: Outcome::Right,
    },
];
