//! What is known about files.

use core::mem::offset_of;

use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, S_IFCHR, S_IFIFO,
    S_IFSOCK, stat,
};

use super::path::{At, Target};
use super::time::Time;
use super::tree::{Kind, Node};
use super::{Files, Object};
use crate::{Error, UserMemory};

/// What a block is said to be, as of any file system.
const BLOCK: u64 = 4096;

/// The unit that the memory of a file is counted in.
const SECTOR: u64 = 512;

/// Minor device numbers; the major ones are 0, as those of all that is not on a device.
const FILES_DEVICE: u32 = 1;
const STREAMS_DEVICE: u32 = 2;

/// The device number of `/dev/null`: major and minor.
const NULL_DEVICE: (u32, u32) = (1, 3);

/// What `stat` tells.
struct Status {
    minor_device: u32,
    number: u64,
    mode: u32,
    links: u64,
    device: (u32, u32),
    size: u64,
    stored: u64,
    accessed: Time,
    modified: Time,
    changed: Time,
}

impl Files {
    pub(super) fn status(
        &self,
        memory: &impl UserMemory,
        place: At,
        buffer: u64,
        flags: u32,
    ) -> Result<u64, Error> {
        let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
        if flags & !known != 0 {
            return Err(Error::EINVAL);
        }
        let target = if place.1 == 0 && flags & AT_EMPTY_PATH != 0 {
            self.target_of(place.0)?
        } else {
            let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
            self.target(memory, place, flags, follow)?
        };
        self.tell(memory, target, buffer)
    }

    pub(super) fn status_of_open(
        &self,
        memory: &impl UserMemory,
        descriptor: i32,
        buffer: u64,
    ) -> Result<u64, Error> {
        self.table.get(descriptor)?;
        self.tell(memory, self.target_of(descriptor)?, buffer)
    }

    fn tell(
        &self,
        memory: &impl UserMemory,
        target: Target<'_>,
        buffer: u64,
    ) -> Result<u64, Error> {
        let status = match target {
            Target::Node(number) => Status::of_node(number.get(), self.tree.node(number)?),
            Target::Open(description) => Status::of_stream(&description.object),
        };
        memory.write(buffer, &status.to_stat())?;
        Ok(0)
    }
}

impl Status {
    fn of_node(number: u64, node: &Node) -> Self {
        let (size, stored) = match &node.kind {
            Kind::File(content) => (content.size(), content.stored()),
            Kind::Directory(_) => (0, 0),
            Kind::Link(target) => (target.len() as u64, 0),
        };
        Self {
            minor_device: FILES_DEVICE,
            number,
            mode: node.mode(),
            links: node.links,
            device: (0, 0),
            size,
            stored,
            accessed: node.accessed,
            modified: node.modified,
            changed: node.changed,
        }
    }

    /// Of what is open and not in the file system.
    fn of_stream(object: &Object) -> Self {
        let (number, mode, device) = match object {
            Object::Null => (1, S_IFCHR | 0o666, NULL_DEVICE),
            Object::Diagnostics => (2, S_IFIFO | 0o600, (0, 0)),
            Object::Channel(_) | Object::Socket(_) => (3, S_IFSOCK | 0o777, (0, 0)),
            Object::Attestation => (4, S_IFSOCK | 0o777, (0, 0)),
            // What is only waited for has no type.
            _ => (5, 0o600, (0, 0)),
        };
        let start = Time::from_nanoseconds(0);
        Self {
            minor_device: STREAMS_DEVICE,
            number,
            mode,
            links: 1,
            device,
            size: 0,
            stored: 0,
            accessed: start,
            modified: start,
            changed: start,
        }
    }

    fn to_stat(&self) -> [u8; size_of::<stat>()] {
        let (major, minor) = self.device;
        let mut record = Record([0; size_of::<stat>()]);
        record.put(offset_of!(stat, st_dev), u64::from(self.minor_device));
        record.put(offset_of!(stat, st_ino), self.number);
        record.put(offset_of!(stat, st_nlink), self.links);
        record.put_word(offset_of!(stat, st_mode), self.mode);
        record.put(offset_of!(stat, st_rdev), u64::from(major << 8 | minor));
        record.put(offset_of!(stat, st_size), self.size);
        record.put(offset_of!(stat, st_blksize), BLOCK);
        record.put(offset_of!(stat, st_blocks), self.stored.div_ceil(SECTOR));
        for (offset, time) in [
            (offset_of!(stat, st_atime), self.accessed),
            (offset_of!(stat, st_mtime), self.modified),
            (offset_of!(stat, st_ctime), self.changed),
        ] {
            record.put(offset, time.seconds as u64);
            record.put(offset + 8, u64::from(time.nanoseconds));
        }
        record.0
    }
}

/// A structure of Linux, byte by byte.
struct Record<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Record<SIZE> {
    fn put(&mut self, offset: usize, value: u64) {
        self.0[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn put_word(&mut self, offset: usize, value: u32) {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
}
