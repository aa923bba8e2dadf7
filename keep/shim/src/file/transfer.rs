//! Reading and writing.
//!
//! Bytes are copied between the program's memory and a file's chunks, with nothing between. Where
//! a part of a buffer is not mapped, all that was to be copied from or to the same chunk may be
//! left out; Linux would stop at the page.

use linux_raw_sys::general::O_APPEND;

use super::event::Counter;
use super::time::Time;
use super::tree::Kind;
use super::{Files, Object};
use crate::{Buffer, Buffers, Error, UserMemory};

/// Linux moves no more with one call.
const MOST_BYTES: u64 = 0x7fff_f000;

/// The last position in a file.
const LAST: u64 = i64::MAX as u64;

/// Which bytes of a file are meant.
#[derive(Clone, Copy)]
pub(super) enum Position {
    /// Those at the description's offset, which then moves.
    Current,
    At(u64),
}

impl Files {
    pub(super) fn read(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        buffers: Buffers,
        position: Position,
    ) -> Result<u64, Error> {
        let description = self.positioned(descriptor, position)?;
        if !description.is_readable() {
            return Err(Error::EBADF);
        }
        let offset = position.or(description.offset);
        let parts = &buffers.list(memory)?;
        let total = total(parts, offset)?;
        if total == 0 && matches!(buffers, Buffers::Array { .. }) {
            return Ok(0);
        }
        let description = self.table.opened_mut(descriptor)?;
        let count = match &mut description.object {
            Object::EventFd(counter) => {
                let read = read_event(counter, memory, parts);
                self.changes += u64::from(read.is_ok());
                return read;
            }
            Object::Epoll(_) => return Err(Error::EINVAL),
            Object::Directory(_) => return Err(Error::EISDIR),
            Object::File(node) => match &self.tree.node(*node)?.kind {
                Kind::File(content) => each_piece(parts, total, |at, address, limit| {
                    let piece = content.piece(offset + at, limit);
                    if !piece.is_empty() {
                        memory.write(address, piece)?;
                    }
                    Ok(piece.len() as u64)
                })?,
                _ => return Err(Error::EINVAL),
            },
            _ => 0,
        };
        if let Position::Current = position {
            description.offset += count;
        }
        Ok(count)
    }

    pub(super) fn write(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        buffers: Buffers,
        position: Position,
        now: Time,
    ) -> Result<u64, Error> {
        let description = self.positioned(descriptor, position)?;
        if !description.is_writable() {
            return Err(Error::EBADF);
        }
        let mut offset = position.or(description.offset);
        let parts = &buffers.list(memory)?;
        let total = total(parts, offset)?;
        if total == 0 && matches!(buffers, Buffers::Array { .. }) {
            return Ok(0);
        }
        let description = self.table.opened_mut(descriptor)?;
        let node = match &mut description.object {
            Object::EventFd(counter) => {
                let written = write_event(counter, memory, parts);
                self.changes += u64::from(written.is_ok());
                return written;
            }
            Object::Epoll(_) => return Err(Error::EINVAL),
            Object::File(node) => *node,
            _ => return Ok(total),
        };
        if total == 0 {
            return Ok(0);
        }
        let (content, budget) = self.tree.content_mut(node)?;
        if description.status & O_APPEND != 0 {
            offset = content.size();
        }
        if offset >= LAST {
            return Err(Error::EFBIG);
        }
        let count = each_piece(parts, total.min(LAST - offset), |at, address, limit| {
            content.overwrite(offset + at, limit, budget, |bytes| {
                memory.read(address, bytes)
            })
        })?;
        if let Position::Current = position {
            description.offset = offset + count;
        }
        let node = self.tree.node_mut(node)?;
        node.modified = now;
        node.changed = now;
        Ok(count)
    }

    /// A description that has positions, if one is asked for.
    fn positioned(
        &self,
        descriptor: i32,
        position: Position,
    ) -> Result<&super::Description, Error> {
        if let Position::At(offset) = position
            && offset > LAST
        {
            return Err(Error::EINVAL);
        }
        let description = self.table.opened(descriptor)?;
        let sequential = description.object.is_stream()
            || matches!(description.object, Object::EventFd(_) | Object::Epoll(_));
        match position {
            Position::At(_) if sequential => Err(Error::ESPIPE),
            _ => Ok(description),
        }
    }
}

impl Position {
    fn or(self, current: u64) -> u64 {
        match self {
            Self::Current => current,
            Self::At(offset) => offset,
        }
    }
}

/// How many bytes are to be moved from or to `offset`.
fn total(parts: &[Buffer], offset: u64) -> Result<u64, Error> {
    let mut total: u64 = 0;
    for part in parts {
        total = total.saturating_add(part.length);
    }
    match parts {
        // Only a single buffer is compared with the offset before it is cut short.
        [single] if single.length > LAST - offset => Err(Error::EINVAL),
        _ if total.min(MOST_BYTES) > LAST - offset => Err(Error::EINVAL),
        _ => Ok(total.min(MOST_BYTES)),
    }
}

/// Calls `transfer` with what was done before, an address and a limit, until all is done or it
/// answers that nothing was. An error counts only where nothing was done before.
fn each_piece(
    parts: &[Buffer],
    total: u64,
    mut transfer: impl FnMut(u64, u64, u64) -> Result<u64, Error>,
) -> Result<u64, Error> {
    let mut done = 0;
    for part in parts {
        let length = part.length.min(total - done);
        let mut copied = 0;
        while copied < length {
            match transfer(done, part.address.wrapping_add(copied), length - copied) {
                Ok(0) => return Ok(done),
                Ok(count) => {
                    copied += count;
                    done += count;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }
    Ok(done)
}

/// Events are counted in numbers of 64 bits, which are moved at once.
fn read_event(
    counter: &mut Counter,
    memory: &impl UserMemory,
    parts: &[Buffer],
) -> Result<u64, Error> {
    match parts {
        [part] if part.length >= EVENT => {
            memory.write(part.address, &counter.take()?.to_le_bytes())?;
            Ok(EVENT)
        }
        _ => Err(Error::EINVAL),
    }
}

fn write_event(
    counter: &mut Counter,
    memory: &impl UserMemory,
    parts: &[Buffer],
) -> Result<u64, Error> {
    match parts {
        [part] if part.length == EVENT => {
            counter.add(memory.long(part.address)?)?;
            Ok(EVENT)
        }
        _ => Err(Error::EINVAL),
    }
}

const EVENT: u64 = 8;
