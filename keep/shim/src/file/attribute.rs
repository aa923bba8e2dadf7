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
        let mut wanted = [(0, u64::from(UTIME_NOW)); 2];
        if times != 0 {
            for (index, time) in wanted.iter_mut().enumerate() {
                let address = times.wrapping_add(16 * index as u64);
                *time = (memory.long(address)?, memory.long(address.wrapping_add(8))?);
            }
        }
        if wanted.iter().all(|time| time.1 == u64::from(UTIME_OMIT)) {
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
        let [accessed, modified] = wanted;
        let (accessed, modified) = (chosen(accessed, now)?, chosen(modified, now)?);
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
fn chosen((seconds, nanoseconds): (u64, u64), now: Time) -> Result<Option<Time>, Error> {
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
