//! Listing directories.

use core::mem::offset_of;

use linux_raw_sys::general::{NAME_MAX, linux_dirent64};

use super::tree::{Directory, NodeNumber};
use super::{Files, Object};
use crate::{Error, UserMemory};

/// Where an entry's name is.
const NAME: usize = offset_of!(linux_dirent64, d_name);

/// The longest entry: its name ends with zero, and it is a multiple of eight.
const LONGEST: usize = (NAME + NAME_MAX as usize + 1).next_multiple_of(8);

impl Files {
    pub(super) fn list(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        address: u64,
        length: u32,
    ) -> Result<u64, Error> {
        let description = self.table.opened_mut(descriptor)?;
        let Object::Directory(number) = description.object else {
            return Err(Error::ENOTDIR);
        };
        let node = self.tree.node(number)?;
        let directory = node.directory()?;
        if node.links == 0 {
            return Err(Error::ENOENT);
        }
        let position = description.offset;
        let dots: [(u64, &[u8], NodeNumber); 2] = [(1, b".", number), (2, b"..", directory.parent)];
        let dots = dots.into_iter().filter(|dot| dot.0 > position);
        let all = if position < Directory::FIRST_ENTRY {
            u64::MAX
        } else {
            position
        };
        let mut done = 0;
        for (position, name, node) in dots.chain(directory.entries_below(all)) {
            let mut entry = [0; LONGEST];
            let type_ = self.tree.node(node)?.mode() >> 12;
            let size = describe(&mut entry, position, name, node, type_ as u8);
            let failed = if size as u64 > u64::from(length) - done {
                Err(Error::EINVAL)
            } else {
                memory.write(address.wrapping_add(done), &entry[..size])
            };
            match failed {
                Ok(()) => done += size as u64,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            description.offset = position;
        }
        Ok(done)
    }
}

/// Writes an entry as Linux has it; answers its length.
fn describe(
    entry: &mut [u8; LONGEST],
    position: u64,
    name: &[u8],
    node: NodeNumber,
    type_: u8,
) -> usize {
    let size = (NAME + name.len() + 1).next_multiple_of(8);
    let mut put = |offset: usize, bytes: &[u8]| {
        entry[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(offset_of!(linux_dirent64, d_ino), &node.get().to_le_bytes());
    put(offset_of!(linux_dirent64, d_off), &position.to_le_bytes());
    let length = (size as u16).to_le_bytes();
    put(offset_of!(linux_dirent64, d_reclen), &length);
    put(offset_of!(linux_dirent64, d_type), &[type_]);
    put(NAME, name);
    size
}
