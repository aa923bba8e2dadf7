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

/// What `stat` tells.
#[derive(Default)]
struct Status {
    /// The device that it is on: one for files, another for streams.
    on_device: u64,
    number: u64,
    mode: u32,
    links: u64,
    device: u64,
    size: u64,
    stored: u64,

    /// When it was accessed, modified, changed.
    times: [Time; 3],
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
            on_device: 1,
            number,
            mode: node.mode(),
            links: node.links,
            device: 0,
            size,
            stored,
            times: [node.accessed, node.modified, node.changed],
        }
    }

    /// Of what is open and not in the file system.
    fn of_stream(object: &Object) -> Self {
        /// Of `/dev/null`: major 1, minor 3.
        const NULL_DEVICE: u64 = 1 << 8 | 3;
        let (number, mode, device) = match object {
            Object::Null => (1, S_IFCHR | 0o666, NULL_DEVICE),
            Object::Diagnostics => (2, S_IFIFO | 0o600, 0),
            Object::Channel(_) | Object::Socket(_) => (3, S_IFSOCK | 0o777, 0),
            Object::Attestation => (4, S_IFSOCK | 0o777, 0),
            // What is only waited for has no type.
            _ => (5, 0o600, 0),
        };
        Self {
            on_device: 2,
            number,
            mode,
            links: 1,
            device,
            ..Self::default()
        }
    }

    fn to_stat(&self) -> [u8; size_of::<stat>()] {
        let mut record = [0; size_of::<stat>()];
        let mut put = |offset: usize, value: u64| {
            record[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(offset_of!(stat, st_dev), self.on_device);
        put(offset_of!(stat, st_ino), self.number);
        put(offset_of!(stat, st_nlink), self.links);
        // It has 32 bits. What follows is the user, who is number 0.
        put(offset_of!(stat, st_mode), self.mode.into());
        put(offset_of!(stat, st_rdev), self.device);
        put(offset_of!(stat, st_size), self.size);
        put(offset_of!(stat, st_blksize), BLOCK);
        put(offset_of!(stat, st_blocks), self.stored.div_ceil(SECTOR));
        // Each is seconds and nanoseconds, one behind the other.
        for (index, time) in self.times.iter().enumerate() {
            let offset = offset_of!(stat, st_atime) + 16 * index;
            put(offset, time.seconds as u64);
            put(offset + 8, time.nanoseconds.into());
        }
        record
    }
}
