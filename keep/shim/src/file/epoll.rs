//! Waiting for many descriptors (`epoll`).
//!
//! What is watched for edges is told of once, and again when something happened to it: of what
//! is inside as Linux has it; of what only the host knows, when the program has come to its
//! end (a call that would have waited, or was served in part). Linux would also tell of
//! more that arrives before that, and no program can rely on being told twice of what it
//! has not yet taken.

use alloc::vec::Vec;

use linux_raw_sys::general::{
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE,
    EPOLLONESHOT, EPOLLOUT, O_RDWR,
};

use super::watch::{ALWAYS_TOLD, Activity, Phase, State};
use super::{Files, Object};
use crate::{Error, UserMemory};

/// Descriptors that are waited for together.
#[derive(Debug, Default)]
pub struct Epoll {
    entries: Vec<Entry>,

    /// Which one is told of first, so that each has its turn.
    first: usize,
}

#[derive(Debug)]
struct Entry {
    descriptor: i32,

    /// What it stood for when it was added.
    description: usize,

    /// The events that are wanted, and how.
    events: u32,
    data: u64,

    /// Events that were told of, and how often something had happened by then.
    told: u32,
    seen: Activity,
}

/// An event that is told of (`struct epoll_event`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    events: u32,
    data: u64,
}

impl Event {
    /// Size of the structure in bytes: it is packed.
    pub const SIZE: usize = 12;

    /// The structure.
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.events.to_le_bytes());
        bytes[4..].copy_from_slice(&self.data.to_le_bytes());
        bytes
    }
}

impl Entry {
    /// The events that it can be told of now.
    fn wanted(&self, state: &State) -> u32 {
        let wanted = self.events & !EPOLLET;
        if self.events & EPOLLET == 0 {
            return wanted;
        }
        let told = self.told(state.activity);
        // The host would find these over and over, whatever else is asked for.
        if state.host.is_some() && told & ALWAYS_TOLD != 0 {
            return 0;
        }
        wanted & !told
    }

    /// What it was told of, and nothing has happened to since.
    fn told(&self, activity: Activity) -> u32 {
        let mut told = self.told;
        if activity.readable != self.seen.readable {
            told &= EPOLLOUT;
        }
        if activity.writable != self.seen.writable {
            told &= !EPOLLOUT;
        }
        told
    }

    fn tell(&mut self, state: &State, phase: &mut Phase<'_>) -> Option<Event> {
        let wanted = self.wanted(state);
        if wanted == 0 {
            return None;
        }
        let fresh = phase.events(state, wanted);
        if fresh == 0 {
            return None;
        }
        let events = fresh | state.events & self.events & !EPOLLET;
        self.told = self.told(state.activity) | events;
        self.seen = state.activity;
        Some(Event {
            events,
            data: self.data,
        })
    }
}

impl Epoll {
    /// What was open is no more.
    pub(super) fn forget(&mut self, description: usize) {
        self.entries
            .retain(|entry| entry.description != description);
    }
}

impl Files {
    pub(super) fn make_epoll(&mut self, flags: u32) -> Result<u64, Error> {
        if flags & !EPOLL_CLOEXEC != 0 {
            return Err(Error::EINVAL);
        }
        let object = Object::Epoll(Epoll::default());
        self.table.insert(object, O_RDWR)
    }

    pub(super) fn control_epoll(
        &mut self,
        memory: &impl UserMemory,
        epoll: i32,
        operation: u32,
        descriptor: i32,
        event: u64,
    ) -> Result<u64, Error> {
        let (events, data) = match operation {
            EPOLL_CTL_DEL => (0, 0),
            _ => (memory.word(event)?, memory.long(event.wrapping_add(4))?),
        };
        self.table.opened(epoll)?;
        let object = &self.table.opened(descriptor)?.object;
        if matches!(
            object,
            Object::Null | Object::File(_) | Object::Directory(_)
        ) {
            return Err(Error::EPERM);
        }
        // Linux has ways of waiting that no program of ours uses.
        let unused = EPOLLEXCLUSIVE | EPOLLONESHOT;
        if matches!(object, Object::Epoll(_)) || events & unused != 0 {
            return Err(Error::EINVAL);
        }
        let description = self.table.index(descriptor)?;
        let entries = &mut self.epoll(epoll)?.entries;
        let place = entries
            .iter()
            .position(|entry| (entry.descriptor, entry.description) == (descriptor, description));
        let entry = Entry {
            descriptor,
            description,
            events: events | ALWAYS_TOLD,
            data,
            told: 0,
            seen: Activity::default(),
        };
        match (operation, place) {
            (EPOLL_CTL_ADD, None) => entries.push(entry),
            (EPOLL_CTL_ADD, Some(_)) => return Err(Error::EEXIST),
            (EPOLL_CTL_MOD, Some(place)) => entries[place] = entry,
            (EPOLL_CTL_DEL, Some(place)) => drop(entries.remove(place)),
            (EPOLL_CTL_MOD | EPOLL_CTL_DEL, None) => return Err(Error::ENOENT),
            _ => return Err(Error::EINVAL),
        }
        self.changes += 1;
        Ok(0)
    }

    /// Adds to `events` what is to be told of in one of the phases, until there are `most`.
    ///
    /// # Errors
    ///
    /// [`Error::EBADF`] and [`Error::EINVAL`] when `epoll` is none.
    pub fn tell_events(
        &mut self,
        epoll: i32,
        phase: &mut Phase<'_>,
        events: &mut Vec<Event>,
        most: usize,
    ) -> Result<(), Error> {
        // Taken out for a moment, for what it watches lies beside it.
        let taken = core::mem::take(self.epoll(epoll)?);
        let Epoll { mut entries, first } = taken;
        let count = entries.len();
        let mut next = first;
        for index in (first..first + count).map(|index| index % count) {
            if events.len() >= most {
                break;
            }
            let entry = &mut entries[index];
            let Some(object) = self.table.object(entry.description) else {
                continue;
            };
            if let Some(event) = entry.tell(&self.state(object), phase) {
                events.push(event);
                next = (index + 1) % count;
            }
        }
        *self.epoll(epoll)? = Epoll {
            entries,
            first: next,
        };
        Ok(())
    }

    fn epoll(&mut self, descriptor: i32) -> Result<&mut Epoll, Error> {
        match &mut self.table.opened_mut(descriptor)?.object {
            Object::Epoll(epoll) => Ok(epoll),
            _ => Err(Error::EINVAL),
        }
    }
}
