//! Positions and sizes.

use linux_raw_sys::general::{POSIX_FADV_NOREUSE, SEEK_CUR, SEEK_END, SEEK_SET};

use super::time::Time;
use super::tree::{Kind, NodeNumber};
use super::{Files, Object};
use crate::Error;

impl Files {
    pub(super) fn seek(&mut self, descriptor: i32, offset: i64, whence: u32) -> Result<u64, Error> {
        let description = self.table.opened_mut(descriptor)?;
        if whence > SEEK_END {
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
            _ => None,
        };
        let sought = sought.and_then(|sought| u64::try_from(sought).ok());
        description.offset = sought.ok_or(Error::EINVAL)?;
        Ok(description.offset)
    }

    pub(super) fn truncate(&mut self, descriptor: i32, size: i64, now: Time) -> Result<u64, Error> {
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

    /// `fsync` and `fdatasync`: nothing is behind memory.
    pub(super) fn synchronize(&self, descriptor: i32) -> Result<u64, Error> {
        match self.table.opened(descriptor)?.object {
            Object::File(_) | Object::Directory(_) => Ok(0),
            _ => Err(Error::EINVAL),
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
