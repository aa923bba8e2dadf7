//! Making, removing and changing names.

use linux_raw_sys::general::{AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW};

use super::Files;
use super::path::{At, Last};
use super::time::Time;
use super::tree::{Directory, Kind, NodeNumber};
use crate::{Error, UserMemory};

impl Files {
    pub(super) fn make_directory(
        &mut self,
        memory: &impl UserMemory,
        (descriptor, path): At,
        now: Time,
    ) -> Result<u64, Error> {
        let path = Self::path(memory, path)?;
        let (parent, name) = self.new_name(descriptor, &path, true)?;
        let kind = Kind::Directory(Directory::new(parent));
        self.tree.create(parent, name, kind, now)?;
        Ok(0)
    }

    pub(super) fn make_link(
        &mut self,
        memory: &impl UserMemory,
        old: At,
        (descriptor, path): At,
        flags: u32,
        now: Time,
    ) -> Result<u64, Error> {
        if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
            return Err(Error::EINVAL);
        }
        let follow = flags & AT_SYMLINK_FOLLOW != 0;
        let target = self.target(memory, old, flags, follow)?;
        let target = target.node();
        let path = Self::path(memory, path)?;
        let (parent, name) = self.new_name(descriptor, &path, false)?;
        let target = target.ok_or(Error::EXDEV)?;
        let node = self.tree.node(target)?;
        if node.is_directory() {
            return Err(Error::EPERM);
        }
        if node.links == 0 {
            return Err(Error::ENOENT);
        }
        self.tree.link(parent, name, target, now)?;
        Ok(0)
    }

    pub(super) fn make_symbolic_link(
        &mut self,
        memory: &impl UserMemory,
        target: u64,
        (descriptor, path): At,
        now: Time,
    ) -> Result<u64, Error> {
        let target = Self::path(memory, target)?;
        if target.is_empty() {
            return Err(Error::ENOENT);
        }
        let path = Self::path(memory, path)?;
        let (parent, name) = self.new_name(descriptor, &path, false)?;
        let kind = Kind::Link(target.into());
        self.tree.create(parent, name, kind, now)?;
        Ok(0)
    }

    pub(super) fn read_link(
        &self,
        memory: &impl UserMemory,
        (descriptor, path): At,
        buffer: u64,
        length: i32,
    ) -> Result<u64, Error> {
        let length = usize::try_from(length).map_err(|_| Error::EINVAL)?;
        if length == 0 {
            return Err(Error::EINVAL);
        }
        let path = Self::path(memory, path)?;
        let node = if path.is_empty() && descriptor == AT_FDCWD {
            return Err(Error::ENOENT);
        } else if path.is_empty() {
            let node = self.table.get(descriptor)?.object.node();
            node.ok_or(Error::ENOENT)?
        } else {
            self.find(descriptor, &path, false)?
        };
        match &self.tree.node(node)?.kind {
            Kind::Link(target) => {
                let part = &target[..target.len().min(length)];
                memory.write(buffer, part)?;
                Ok(part.len() as u64)
            }
            _ if path.is_empty() => Err(Error::ENOENT),
            _ => Err(Error::EINVAL),
        }
    }

    pub(super) fn remove(
        &mut self,
        memory: &impl UserMemory,
        (descriptor, path): At,
        flags: u32,
        now: Time,
    ) -> Result<u64, Error> {
        if flags & !AT_REMOVEDIR != 0 {
            return Err(Error::EINVAL);
        }
        let wants_directory = flags != 0;
        let path = Self::path(memory, path)?;
        let (parent, last) = self.parent(descriptor, &path)?;
        let (name, slash) = match last {
            Last::Name(name, slash) => (name, slash),
            _ if !wants_directory => return Err(Error::EISDIR),
            Last::Root => return Err(Error::EBUSY),
            Last::Dot => return Err(Error::EINVAL),
            Last::DotDot => return Err(Error::ENOTEMPTY),
        };
        let child = self.tree.child(parent, name)?.ok_or(Error::ENOENT)?;
        match &self.tree.node(child)?.kind {
            Kind::Directory(_) if !wants_directory => return Err(Error::EISDIR),
            Kind::Directory(directory) if !directory.is_empty() => return Err(Error::ENOTEMPTY),
            Kind::Directory(_) => {}
            _ if wants_directory || slash => return Err(Error::ENOTDIR),
            _ => {}
        }
        self.tree.unlink(parent, name, now)?;
        Ok(0)
    }

    pub(super) fn rename(
        &mut self,
        memory: &impl UserMemory,
        (old_descriptor, old_path): At,
        (new_descriptor, new_path): At,
        now: Time,
    ) -> Result<u64, Error> {
        let old_path = Self::path(memory, old_path)?;
        let (old_parent, old_last) = self.parent(old_descriptor, &old_path)?;
        let new_path = Self::path(memory, new_path)?;
        let (new_parent, new_last) = self.parent(new_descriptor, &new_path)?;
        let (Last::Name(old_name, old_slash), Last::Name(new_name, new_slash)) =
            (old_last, new_last)
        else {
            return Err(Error::EBUSY);
        };
        let old = self.tree.child(old_parent, old_name)?;
        let old = old.ok_or(Error::ENOENT)?;
        let new = self.tree.child(new_parent, new_name)?;
        let old_is_directory = self.tree.node(old)?.is_directory();
        if !old_is_directory && (old_slash || new_slash) {
            return Err(Error::ENOTDIR);
        }
        if old_is_directory && self.tree.is_within(new_parent, old)? {
            return Err(Error::EINVAL);
        }
        if let Some(new) = new {
            let new_kind = &self.tree.node(new)?.kind;
            let new_is_directory = matches!(new_kind, Kind::Directory(_));
            if new_is_directory && self.tree.is_within(old_parent, new)? {
                return Err(Error::ENOTEMPTY);
            }
            if old == new {
                return Ok(0);
            }
            match (new_kind, old_is_directory) {
                (Kind::Directory(_), false) => return Err(Error::EISDIR),
                (Kind::Directory(directory), true) if !directory.is_empty() => {
                    return Err(Error::ENOTEMPTY);
                }
                (Kind::File(_) | Kind::Link(_), true) => return Err(Error::ENOTDIR),
                _ => {}
            }
            self.tree.unlink(new_parent, new_name, now)?;
        }
        let (from, to) = ((old_parent, old_name), (new_parent, new_name));
        self.tree.rename(from, to, now)?;
        Ok(0)
    }

    /// A name that does not exist yet, and the directory that it is to be in.
    fn new_name<'p>(
        &self,
        descriptor: i32,
        path: &'p [u8],
        for_directory: bool,
    ) -> Result<(NodeNumber, &'p [u8]), Error> {
        let (parent, last) = self.parent(descriptor, path)?;
        let Last::Name(name, slash) = last else {
            return Err(Error::EEXIST);
        };
        if self.tree.child(parent, name)?.is_some() {
            return Err(Error::EEXIST);
        }
        if slash && !for_directory {
            return Err(Error::ENOENT);
        }
        Ok((parent, name))
    }
}
