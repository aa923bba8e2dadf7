//! Answers that are wrong.

use enarx_wire_hostcall::call::{Operation, PAYLOAD_SIZE};

use super::super::host::{Answer, Call, Host, Lies};

type Lie = fn(&mut Answer);

pub const LIES: &[Lie] = &[
    |answer| answer.sequence = 0,
    |answer| answer.sequence -= 1,
    |answer| answer.sequence += 1,
    |answer| answer.sequence |= 1 << 63,
    |answer| answer.sequence |= 1 << 32,
    |answer| answer.sequence = u64::MAX,
    |answer| answer.result = 1,
    |answer| answer.result = -1,
    |answer| answer.result = -i64::from(libc::EAGAIN),
    |answer| answer.result = -4095,
    |answer| answer.result = -4096,
    |answer| answer.result = i64::MIN,
    |answer| answer.result = i64::MAX,
    |answer| answer.result = 1 << 31,
    |answer| answer.result = 1 << 32,
    |answer| answer.result += 1,
    |answer| answer.result -= 1,
    |answer| answer.length = 0,
    |answer| answer.length = 1,
    |answer| answer.length += 1,
    |answer| answer.length = answer.length.wrapping_sub(1),
    |answer| answer.length = 4096,
    |answer| answer.length = PAYLOAD_SIZE as u64,
    |answer| answer.length = PAYLOAD_SIZE as u64 + 1,
    |answer| answer.length |= 1 << 32,
    |answer| answer.length |= 1 << 63,
    |answer| answer.length = u64::MAX,
    |answer| answer.payload.fill(0),
    |answer| answer.payload.fill(0xff),
    |answer| answer.payload.iter_mut().for_each(|byte| *byte ^= 1),
    |answer| both(answer, 64),
    |answer| both(answer, 65),
    |answer| both(answer, PAYLOAD_SIZE as u64),
];

/// A result and a payload that agree.
fn both(answer: &mut Answer, length: u64) {
    answer.length = length;
    answer.result = length.cast_signed();
}

pub struct Answers {
    pub at: usize,
    pub lie: Lie,
}

impl Lies for Answers {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        if call.number == self.at {
            host.faults += 1;
            (self.lie)(answer);
        }
    }
}

/// Nanoseconds since 1970, and the frequency.
pub const CLOCKS: [[u64; 2]; 8] = [
    [0, 0],
    [0, 1],
    [u64::MAX, 1],
    [0, u64::MAX],
    [u64::MAX, u64::MAX],
    [u64::MAX, 2_000_000_000],
    [0, 100_000_000],
    [1 << 63, 20_000_000_000],
];

pub struct Clock(pub [u64; 2]);

impl Lies for Clock {
    fn answer(&mut self, host: &mut Host, call: &Call, answer: &mut Answer) {
        if call.request.operation == Operation::Clock {
            host.faults += 1;
            answer.payload = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        }
    }
}
