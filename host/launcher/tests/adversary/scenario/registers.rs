//! What a host can put into registers.

use enarx_wire_hostcall::call::BLOCK_SIZE;
use enarx_wire_launch::sgx::layout;

use super::super::crossing::Extended;
use super::super::host::{EENTER, Entry, Host, Lies};

type BlockAt = fn(base: u64) -> u64;

pub const BLOCKS: [BlockAt; 14] = [
    |_| 0,
    |_| 8,
    |_| 0x0010_0008,
    |base| base,
    |base| base + layout::thread_window(0) + layout::thread::SSA,
    |base| base + layout::SHIM_HEAP,
    |base| base + layout::ENCLAVE_SIZE - 4096,
    |base| base - 4096,
    |base| base - BLOCK_SIZE as u64 + 4096,
    |_| (1 << 47) - 4096,
    |_| 1 << 47,
    |_| 1 << 63,
    |_| u64::MAX - 4095,
    // It could be one, but nothing is mapped there.
    |base| base + 2 * layout::ENCLAVE_SIZE,
];

pub struct GivesBlock(pub u64);

impl Lies for GivesBlock {
    fn entry(&mut self, host: &mut Host, entry: &mut Entry) {
        host.faults += 1;
        entry.crossing.arguments[0] = self.0;
    }
}

pub const JUNK: [u64; 4] = [1, u64::MAX, 1 << 63, 0x1000_0000_0000];

pub struct LeavesJunk(pub u64);

impl Lies for LeavesJunk {
    fn entry(&mut self, host: &mut Host, entry: &mut Entry) {
        host.faults += 1;
        entry.crossing.junk = self.0;
        let is_first = entry.leaf == EENTER && host.is_first(entry.thread);
        // Only a thread that begins looks for its block.
        for register in &mut entry.crossing.arguments[usize::from(is_first)..] {
            *register = self.0;
        }
    }
}

pub const EXTENDED: [Extended; 4] = [
    // No exception is masked, and all have happened.
    Extended {
        mxcsr: 0x003f,
        x87: [0x0340, 0x00ff],
        filling: 0xff,
    },
    // Rounding up, denormals are zero, flushing to zero.
    Extended {
        mxcsr: 0xdfc0,
        x87: [0x0b7f, 0x3800],
        filling: 0x7f,
    },
    Extended {
        mxcsr: 0x7fbf,
        x87: [0x0c3f, 0x0000],
        filling: 0x01,
    },
    Extended {
        mxcsr: 0xffff,
        x87: [0x0000, 0xffff],
        filling: 0xa5,
    },
];

pub struct SetsExtended(pub Extended);

impl Lies for SetsExtended {
    fn entry(&mut self, host: &mut Host, entry: &mut Entry) {
        host.faults += 1;
        entry.crossing.set_extended(self.0);
    }
}
