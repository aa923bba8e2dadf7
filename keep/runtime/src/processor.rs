//! The limit of processor time.

use std::{num::NonZero, sync::Arc, thread, time::Duration};

use enarx_wire_provision::Cause;
use rustix::time::{ClockId, clock_gettime};

use crate::{ending, process, session::Session};

/// Ends the program when this process has used `limit`.
///
/// A thread looks at the process's clock, ever more often as the limit comes near; compiled
/// code counts nothing. Beneath a shim that counts no processor time the clock is that of
/// the time since the start.
pub fn watch(session: Arc<Session>, limit: Duration) {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    thread::spawn(move || {
        loop {
            let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime));
            let left = limit.saturating_sub(used.unwrap_or_default());
            if left.is_zero() {
                let ending = ending::early(Cause::Limit, "over its limit of processor time".into());
                process::exit(session.cut_short(&ending));
            }
            thread::sleep((left / processors).clamp(SHORTEST_LOOK, LONGEST_LOOK));
        }
    });
}

/// Between two looks at the clock.
const SHORTEST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_secs(1);
