//! Times.

use linux_raw_sys::general::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT};

use super::Files;
use super::path::At;
use super::time::Time;
use crate::{Error, UserMemory};

impl Files {
    pub(super) fn set_times(
        &mut self,
        memory: &impl UserMemory,
        (descriptor, path): At,
        times: u64,
        flags: u32,
        now: Time,
    ) -> Result<u64, Error> {
        const NOW: u64 = UTIME_NOW as u64;
        const OMIT: u64 = UTIME_OMIT as u64;
        let wanted = match times {
            0 => [0, NOW, 0, NOW],
            times => memory.longs(times)?,
        };
        if let [_, OMIT, _, OMIT] = wanted {
            return Ok(0);
        }
        let node = if path == 0 && descriptor != AT_FDCWD {
            if flags != 0 {
                return Err(Error::EINVAL);
            }
            self.table.opened(descriptor)?.object.node()
        } else {
            if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
                return Err(Error::EINVAL);
            }
            let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
            self.target(memory, (descriptor, path), flags, follow)?
                .node()
        };
        let [seconds, nanoseconds, others, other_nanoseconds] = wanted;
        let accessed = chosen(seconds, nanoseconds, now)?;
        let modified = chosen(others, other_nanoseconds, now)?;
        if let Some(node) = node {
            let node = self.tree.node_mut(node)?;
            node.accessed = accessed.unwrap_or(node.accessed);
            node.modified = modified.unwrap_or(node.modified);
            node.changed = now;
        }
        Ok(0)
    }
}

/// What a time is to be set to, if at all.
fn chosen(seconds: u64, nanoseconds: u64, now: Time) -> Result<Option<Time>, Error> {
    const SECOND: u32 = 1_000_000_000;
    match u32::try_from(nanoseconds) {
        Ok(UTIME_OMIT) => Ok(None),
        Ok(UTIME_NOW) => Ok(Some(now)),
        Ok(nanoseconds) if nanoseconds < SECOND => Ok(Some(Time {
            seconds: seconds as i64,
            nanoseconds,
        })),
        _ => Err(Error::EINVAL),
    }
}
