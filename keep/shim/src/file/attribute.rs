//! Permissions and times.

use linux_raw_sys::general::{
    AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT, X_OK,
};

use super::Files;
use super::path::Target;
use super::status::Status;
use super::time::Time;
use super::tree::{Kind, NodeNumber};
use crate::{Error, UserMemory};

impl Files {
    pub(super) fn change_mode(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        path: u64,
        mode: u32,
        flags: u32,
        now: Time,
    ) -> Result<u64, Error> {
        if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
            return Err(Error::EINVAL);
        }
        let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
        let target = self.target(memory, descriptor, path, flags, follow)?;
        self.set_mode(target.node(), mode, now)
    }

    pub(super) fn change_open_mode(
        &mut self,
        descriptor: i32,
        mode: u32,
        now: Time,
    ) -> Result<u64, Error> {
        let node = self.table.opened(descriptor)?.object.node();
        self.set_mode(node, mode, now)
    }

    fn set_mode(&mut self, node: Option<NodeNumber>, mode: u32, now: Time) -> Result<u64, Error> {
        let node = self.tree.node_mut(node.ok_or(Error::EOPNOTSUPP)?)?;
        if let Kind::Link(_) = node.kind {
            return Err(Error::EOPNOTSUPP);
        }
        node.permissions = mode & 0o7777;
        node.changed = now;
        Ok(0)
    }

    /// The user may do everything but execute what nobody may.
    pub(super) fn access(
        &self,
        memory: &impl UserMemory,
        descriptor: i32,
        path: u64,
        mode: u32,
        flags: u32,
    ) -> Result<u64, Error> {
        const ANYBODY_EXECUTES: u32 = 0o111;
        let known = AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
        if mode & !0o7 != 0 || flags & !known != 0 {
            return Err(Error::EINVAL);
        }
        let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
        let target = self.target(memory, descriptor, path, flags, follow)?;
        let executable = match target {
            Target::Node(node) => {
                let node = self.tree.node(node)?;
                node.is_directory() || node.permissions & ANYBODY_EXECUTES != 0
            }
            Target::Open(description) => {
                Status::of_stream(&description.object).mode & ANYBODY_EXECUTES != 0
            }
        };
        if mode & X_OK != 0 && !executable {
            return Err(Error::EACCES);
        }
        Ok(0)
    }

    pub(super) fn set_times(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        path: u64,
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
            self.target(memory, descriptor, path, flags, follow)?.node()
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

    pub(super) fn set_mode_mask(&mut self, mask: u32) -> u64 {
        let before = self.mode_mask;
        self.mode_mask = mask & 0o777;
        u64::from(before)
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
