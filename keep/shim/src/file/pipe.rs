//! Pipes.

use alloc::{collections::VecDeque, vec::Vec};

use linux_raw_sys::general::{
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_WRONLY,
};

use super::transfer::{Segment, each_piece};
use super::watch::{Activity, State};
use super::{Files, Object};
use crate::{Error, UserMemory};

/// One end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeEnd {
    number: usize,
    writes: bool,
}

/// All pipes that have an end that is open.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Option<Pipe>>);

#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    is_read: bool,
    is_written: bool,
    activity: Activity,
}

/// Bytes that a pipe holds.
const CAPACITY: usize = 64 << 10;

/// As many bytes are written together, or not at all (`PIPE_BUF`).
const TOGETHER: usize = 4096;

impl Pipes {
    fn open(&mut self) -> usize {
        let pipe = Pipe {
            is_read: true,
            is_written: true,
            ..Pipe::default()
        };
        let number = match self.0.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.0.push(None);
                self.0.len() - 1
            }
        };
        self.0[number] = Some(pipe);
        number
    }

    /// Closes an end that nothing stands for any more.
    pub fn close(&mut self, end: PipeEnd) {
        let Ok(pipe) = self.get(end) else { return };
        let other_is_open = if end.writes {
            pipe.is_written = false;
            pipe.is_read
        } else {
            pipe.is_read = false;
            pipe.is_written
        };
        pipe.activity.both();
        if !other_is_open {
            self.0[end.number] = None;
        }
    }

    pub fn state(&self, end: PipeEnd) -> State {
        let Some(Some(pipe)) = self.0.get(end.number) else {
            return State::default();
        };
        let sides = if end.writes {
            [
                (CAPACITY - pipe.bytes.len() >= TOGETHER, EPOLLOUT),
                (!pipe.is_read, EPOLLERR),
            ]
        } else {
            [
                (!pipe.bytes.is_empty(), EPOLLIN),
                (!pipe.is_written, EPOLLHUP),
            ]
        };
        let there = sides.into_iter().filter(|(is, _)| *is);
        let Activity { readable, writable } = pipe.activity;
        State {
            events: there.fold(0, |events, (_, event)| events | event),
            activity: Activity {
                readable: if end.writes { 0 } else { readable },
                writable: if end.writes { writable } else { 0 },
            },
            ..State::default()
        }
    }

    pub fn read(
        &mut self,
        end: PipeEnd,
        memory: &impl UserMemory,
        segments: &[Segment],
        total: u64,
    ) -> Result<u64, Error> {
        let pipe = self.get(end)?;
        if pipe.bytes.is_empty() && pipe.is_written && total > 0 {
            return Err(Error::EAGAIN);
        }
        let was_full = CAPACITY - pipe.bytes.len() < TOGETHER;
        let count = each_piece(segments, total, |_, address, limit| {
            let (piece, _) = pipe.bytes.as_slices();
            let piece = &piece[..piece.len().min(limit as usize)];
            if !piece.is_empty() {
                memory.write(address, piece)?;
            }
            let count = piece.len();
            pipe.bytes.drain(..count);
            Ok(count as u64)
        })?;
        if was_full {
            pipe.activity.writing();
        }
        Ok(count)
    }

    pub fn write(
        &mut self,
        end: PipeEnd,
        memory: &impl UserMemory,
        segments: &[Segment],
        total: u64,
    ) -> Result<u64, Error> {
        let pipe = self.get(end)?;
        if total == 0 {
            return Ok(0);
        }
        // As in Linux, an edge even if nothing comes of it.
        pipe.activity.reading();
        if !pipe.is_read {
            // There is no signal for it: nobody here wants to be killed.
            return Err(Error::EPIPE);
        }
        let room = CAPACITY - pipe.bytes.len();
        if room == 0 || total <= TOGETHER as u64 && total > room as u64 {
            return Err(Error::EAGAIN);
        }
        each_piece(segments, total.min(room as u64), |_, address, limit| {
            let mut bytes = [0; TOGETHER];
            let piece = &mut bytes[..(limit as usize).min(TOGETHER)];
            memory.read(address, piece)?;
            pipe.bytes.extend(&*piece);
            Ok(piece.len() as u64)
        })
    }

    fn get(&mut self, end: PipeEnd) -> Result<&mut Pipe, Error> {
        let pipe = self.0.get_mut(end.number).and_then(Option::as_mut);
        pipe.ok_or(Error::EBADF)
    }
}

impl Files {
    /// `pipe2`: writes the descriptors of both ends to `into`.
    pub(super) fn pipe(
        &mut self,
        memory: &impl UserMemory,
        into: u64,
        flags: u32,
    ) -> Result<u64, Error> {
        if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
            return Err(Error::EINVAL);
        }
        self.table.unused(self.table.unused(0)? + 1)?;
        let number = self.pipes.open();
        let mut ends = [0; 8];
        for (place, writes) in ends.as_chunks_mut::<4>().0.iter_mut().zip([false, true]) {
            let access = if writes { O_WRONLY } else { O_RDONLY };
            let descriptor = self.table.insert(
                Object::Pipe(PipeEnd { number, writes }),
                access | flags & O_NONBLOCK,
                flags & O_CLOEXEC != 0,
            )?;
            *place = (descriptor as u32).to_le_bytes();
        }
        if let Err(error) = memory.write(into, &ends) {
            for end in ends.as_chunks().0 {
                self.close(i32::from_le_bytes(*end))?;
            }
            return Err(error);
        }
        Ok(0)
    }
}
