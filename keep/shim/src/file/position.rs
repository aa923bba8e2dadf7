//! Positions and sizes.

use linux_raw_sys::general::{
    POSIX_FADV_NOREUSE, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
    SYNC_FILE_RANGE_WRITE_AND_WAIT,
};

use super::path::Wanted;
use super::time::Time;
use super::tree::{Kind, NodeNumber};
use super::{Files, Object};
use crate::{Error, UserMemory};
use linux_raw_sys::general::AT_FDCWD;

impl Files {
    pub(super) fn seek(&mut self, descriptor: i32, offset: i64, whence: u32) -> Result<u64, Error> {
        let description = self.table.opened_mut(descriptor)?;
        if whence > SEEK_HOLE {
            return Err(Error::EINVAL);
        }
        let content = match description.object {
            Object::File(node) | Object::Directory(node) | Object::Path(node) => {
                match &self.tree.node(node)?.kind {
                    Kind::File(content) => Some(content),
                    _ => None,
                }
            }
            Object::Null | Object::EventFd(_) | Object::Epoll(_) => return Ok(0),
            _ => return Err(Error::ESPIPE),
        };
        let current = description.offset as i64;
        let sought = match (whence, content) {
            (SEEK_SET, _) => Some(offset),
            (SEEK_CUR, _) => current.checked_add(offset),
            (SEEK_END, Some(content)) => (content.size() as i64).checked_add(offset),
            (SEEK_DATA | SEEK_HOLE, Some(content)) => {
                let offset = u64::try_from(offset).map_err(|_| Error::ENXIO)?;
                if offset >= content.size() {
                    return Err(Error::ENXIO);
                }
                let found = if whence == SEEK_DATA {
                    content.next_data(offset).ok_or(Error::ENXIO)?
                } else {
                    content.next_hole(offset)
                };
                Some(found as i64)
            }
            _ => None,
        };
        let sought = sought.and_then(|sought| u64::try_from(sought).ok());
        description.offset = sought.ok_or(Error::EINVAL)?;
        Ok(description.offset)
    }

    pub(super) fn truncate(
        &mut self,
        memory: &impl UserMemory,
        path: u64,
        size: i64,
        now: Time,
    ) -> Result<u64, Error> {
        let size = u64::try_from(size).map_err(|_| Error::EINVAL)?;
        let path = Self::path(memory, path)?;
        let node = self.find(AT_FDCWD, &path, Wanted::LINKED)?;
        if self.tree.node(node)?.is_directory() {
            return Err(Error::EISDIR);
        }
        self.resize(node, size, now)
    }

    pub(super) fn truncate_open(
        &mut self,
        descriptor: i32,
        size: i64,
        now: Time,
    ) -> Result<u64, Error> {
        let size = u64::try_from(size).map_err(|_| Error::EINVAL)?;
        let description = self.table.opened(descriptor)?;
        match description.object {
            Object::File(node) if description.is_writable() => self.resize(node, size, now),
            _ => Err(Error::EINVAL),
        }
    }

    /// Sets the size of a regular file.
    pub(super) fn resize(&mut self, node: NodeNumber, size: u64, now: Time) -> Result<u64, Error> {
        let (content, budget) = self.tree.content_mut(node)?;
        content.resize(size, budget);
        let node = self.tree.node_mut(node)?;
        node.modified = now;
        node.changed = now;
        Ok(0)
    }

    pub(super) fn allocate(
        &mut self,
        descriptor: i32,
        mode: u32,
        offset: i64,
        length: i64,
        now: Time,
    ) -> Result<u64, Error> {
        let description = self.table.opened(descriptor)?;
        if offset < 0 || length <= 0 {
            return Err(Error::EINVAL);
        }
        if mode != 0 {
            return Err(Error::EOPNOTSUPP);
        }
        if !description.is_writable() {
            return Err(Error::EBADF);
        }
        let node = match &description.object {
            Object::File(node) => *node,
            Object::Diagnostics => return Err(Error::ESPIPE),
            _ => return Err(Error::ENODEV),
        };
        let end = offset.checked_add(length).ok_or(Error::EFBIG)?;
        let (content, budget) = self.tree.content_mut(node)?;
        content.allocate(offset as u64, end as u64, budget)?;
        let node = self.tree.node_mut(node)?;
        node.modified = now;
        node.changed = now;
        Ok(0)
    }

    /// `fsync` and `fdatasync`: nothing is behind memory.
    pub(super) fn synchronize(&self, descriptor: i32) -> Result<u64, Error> {
        match self.table.opened(descriptor)?.object {
            Object::File(_) | Object::Directory(_) => Ok(0),
            _ => Err(Error::EINVAL),
        }
    }

    pub(super) fn synchronize_range(
        &self,
        descriptor: i32,
        offset: i64,
        length: i64,
        flags: u32,
    ) -> Result<u64, Error> {
        let description = self.table.opened(descriptor)?;
        let end = offset.checked_add(length);
        let within = offset >= 0 && end.is_some_and(|end| end >= offset);
        if flags & !SYNC_FILE_RANGE_WRITE_AND_WAIT != 0 || !within {
            return Err(Error::EINVAL);
        }
        match description.object {
            Object::File(_) | Object::Directory(_) => Ok(0),
            _ => Err(Error::ESPIPE),
        }
    }

    pub(super) fn advise(&self, descriptor: i32, length: i64, advice: u32) -> Result<u64, Error> {
        match self.table.opened(descriptor)?.object {
            Object::Diagnostics => Err(Error::ESPIPE),
            _ if length < 0 || advice > POSIX_FADV_NOREUSE => Err(Error::EINVAL),
            _ => Ok(0),
        }
    }
}
