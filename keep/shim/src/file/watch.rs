//! What descriptors are ready for.

use alloc::vec::Vec;

use enarx_wire_hostcall::call::PollEntry;
use linux_raw_sys::general::{EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT};

use super::{Files, Object};
use crate::Error;

/// Events that are told although nobody asks for them.
pub const ALWAYS_TOLD: u32 = EPOLLERR | EPOLLHUP;

/// Events are told in numbers of this many bits, by `poll` as by `epoll`.
const EVENTS: u32 = 0xFFFF;

/// How often something happened to what is open that a waiting program is to be told of, even
/// if it was ready before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Activity {
    pub readable: u32,
    pub writable: u32,
}

impl Activity {
    /// Something can be read.
    pub fn reading(&mut self) {
        self.readable = self.readable.wrapping_add(1);
    }

    /// Something can be written.
    pub fn writing(&mut self) {
        self.writable = self.writable.wrapping_add(1);
    }

    pub fn both(&mut self) {
        self.reading();
        self.writing();
    }
}

/// What is known of something open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The events that are there.
    pub events: u32,

    /// The number by which the host knows it, if only the host knows the events.
    pub host: Option<u32>,

    pub activity: Activity,
}

/// In which order a program that waits is told of events: first of those that are known inside, and
/// what only the host knows is noted; then of those that the host has found.
pub enum Phase<'a> {
    /// Tells of what is inside.
    Inside(&'a mut Vec<PollEntry>),

    /// Tells of what the host has found.
    Host(&'a [PollEntry]),
}

impl Phase<'_> {
    /// Those of the `wanted` events that are to be told in this phase.
    pub(super) fn events(&mut self, state: &State, wanted: u32) -> u32 {
        match (self, state.host) {
            (Self::Inside(_), None) => state.events & wanted,
            (Self::Inside(noted), Some(number)) => {
                noted.push(PollEntry {
                    descriptor: number as i32,
                    events: (wanted & EVENTS) as u16,
                    found: 0,
                });
                0
            }
            (Self::Host(found), Some(number)) => {
                let found = found
                    .iter()
                    .filter(|entry| entry.descriptor == number as i32);
                found.fold(0, |events, entry| events | u32::from(entry.found)) & wanted
            }
            (Self::Host(_), None) => 0,
        }
    }
}

impl Files {
    /// Events of a descriptor for `poll`, in one of the phases.
    ///
    /// # Errors
    ///
    /// [`Error::EBADF`] when it is not open, or stands for nothing but a path.
    pub fn poll(&self, descriptor: i32, wanted: u16, phase: &mut Phase<'_>) -> Result<u16, Error> {
        let state = self.state(&self.table.opened(descriptor)?.object);
        Ok(phase.events(&state, u32::from(wanted) | ALWAYS_TOLD) as u16)
    }

    pub(super) fn state(&self, object: &Object) -> State {
        let ready = |readable: bool, writable: bool, activity: Activity| State {
            events: if readable { EPOLLIN } else { 0 } | if writable { EPOLLOUT } else { 0 },
            activity,
            ..State::default()
        };
        match object {
            Object::Channel(socket) | Object::Socket(socket) => State {
                host: Some(socket.number),
                activity: socket.activity,
                ..State::default()
            },
            Object::EventFd(counter) => counter.state(),
            // One within another is not watched.
            Object::Epoll(_) => State::default(),
            // Diagnostics are always taken.
            Object::Diagnostics => ready(false, true, Activity::default()),
            // The device answers at once, and files do not wait.
            _ => ready(true, true, Activity::default()),
        }
    }
}
