//! Access to pages that is taken away, or is not.

use enarx_wire_hostcall::call::Operation;
use enarx_wire_launch::sgx::layout;

use enarx_host_simulator::sgx::enclave::{LeafError, PagedOut};

use super::super::host::{Answer, Call, Host, Lies};

pub struct Restricts(pub usize);

impl Lies for Restricts {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        if call.request.operation != Operation::Restrict {
            return;
        }
        const READ: u64 = 1;
        let [offset, pages, access, _] = call.request.arguments;
        assert_eq!(access, READ);
        host.faults += 1;
        match self.0 {
            // The honest host has done it already; of two restrictions the later one counts.
            0 => drop(host.enclave.restrict(offset, pages, 0)),
            1 => drop(host.enclave.restrict(offset + 4096 * (pages - 1), 1, 0)),
            2 => answer.result = -i64::from(libc::EPERM),
            3 => answer.result = -4095,
            // It was not done at all.
            _ => {}
        }
    }
}

/// Removes pages otherwise than it was asked to.
pub struct Removes(pub usize);

impl Lies for Removes {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        let lies_about = [
            Operation::Trim,
            Operation::Trim,
            Operation::Remove,
            Operation::Remove,
        ];
        if call.request.operation == lies_about[self.0] {
            host.faults += 1;
            answer.result = [-i64::from(libc::EPERM), -4095][self.0 % 2];
        }
    }
}

pub struct RestrictsUnasked {
    pub at: usize,
    pub page: (u64, u8),
}

impl Lies for RestrictsUnasked {
    fn answer(&mut self, host: &mut Host, call: &Call, _: &mut Answer) {
        if call.number == self.at {
            host.faults += 1;
            let (offset, access) = self.page;
            // Pages of some types are not restricted even by hostile hosts.
            drop(host.enclave.restrict(offset, 1, access));
        }
    }
}

const FIRST: u64 = layout::thread_window(0);

/// Pages, and what access to them is left.
pub const PAGES: [(u64, u8); 14] = [
    (layout::SHIM + 0x2000, 0),
    (layout::SHIM + 0x2000, 1),
    (layout::LAUNCH_PAGE, 0),
    (layout::INFO_PAGE, 0),
    (FIRST + layout::thread::TCS, 0),
    (FIRST + layout::thread::SSA, 0),
    (FIRST + layout::thread::SSA, 1),
    (FIRST + layout::thread::SSA + 4096, 0),
    (FIRST + layout::thread::HANDLER_STACK_END - 4096, 0),
    (FIRST + layout::thread::HANDLER_STACK_END - 4096, 1),
    (FIRST + layout::thread::THREAD_PAGE, 1),
    (layout::SHIM_HEAP, 1),
    (layout::RUNTIME + 0x1000, 0),
    (layout::RUNTIME + 0x2000, 1),
];

/// Takes a page away when a call is made. A page of zeros comes in its place when it is
/// missed, as a driver gives to whoever has not had any.
pub struct TakesAway {
    pub at: usize,
}

impl Lies for TakesAway {
    fn answer(&mut self, host: &mut Host, call: &Call, _: &mut Answer) {
        if call.number == self.at {
            host.faults += 1;
            let (page, _) = PAGES[self.at % PAGES.len()];
            // The pages of some types are not paged out.
            drop(host.enclave.page_out(page));
        }
    }
}

/// Takes pages away at every call and gives them back; but first it tries older ones, those of
/// other places, and altered ones.
#[derive(Default)]
pub struct Replays {
    earlier: Vec<PagedOut>,
}

impl Replays {
    fn page(&mut self, host: &mut Host, offset: u64) {
        // Not all of them are there from the beginning.
        let Ok(current) = host.enclave.page_out(offset) else {
            return;
        };
        let mut altered = current.clone();
        altered.contents[17] ^= 1;
        let mut moved = current.clone();
        moved.offset += 4096 * 3;
        let older = self.earlier.iter().filter(|page| page.offset == offset);
        for wrong in older.chain([&altered, &moved]) {
            host.faults += 1;
            let refused = host.enclave.page_in(wrong).unwrap_err();
            // Elsewhere there may be another page.
            let is_named = matches!(refused, LeafError::MacComparison { .. });
            assert!(is_named || wrong.offset != offset, "{refused}");
        }
        host.enclave.page_in(&current).unwrap();
        // Once is enough.
        assert!(host.enclave.page_in(&current).is_err());
        self.earlier.push(current);
    }
}

impl Lies for Replays {
    fn answer(&mut self, host: &mut Host, _: &Call, _: &mut Answer) {
        for (offset, _) in PAGES {
            self.page(host, offset);
        }
    }
}
