//! Descriptors, and what they stand for.

use alloc::vec::Vec;

use linux_raw_sys::general::{O_ACCMODE, O_LARGEFILE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use enarx_wire_hostcall::CHANNEL;

use super::epoll::Epoll;
use super::event::Counter;
use super::tree::NodeNumber;
use super::watch::Activity;
use crate::Error;

/// What can be open.
#[derive(Debug)]
pub enum Object {
    /// `/dev/null`.
    Null,

    /// Sentences for the host's operator. Served elsewhere.
    Diagnostics,

    /// The stream to the host. Served elsewhere.
    Channel(Socket),

    /// The stream to the TEE. Served elsewhere.
    Attestation,

    /// A socket of the host's. Served elsewhere.
    Socket(Socket),

    /// An event counter.
    EventFd(Counter),

    /// Descriptors that are waited for together.
    Epoll(Epoll),

    /// A regular file.
    File(NodeNumber),

    /// A directory, to be listed and to start paths from.
    Directory(NodeNumber),

    /// A place in the file system that is not opened (`O_PATH`).
    Path(NodeNumber),
}

impl Object {
    pub(super) fn node(&self) -> Option<NodeNumber> {
        match self {
            Self::File(node) | Self::Directory(node) | Self::Path(node) => Some(*node),
            _ => None,
        }
    }

    /// Whether its data is served elsewhere.
    pub(super) fn is_stream(&self) -> bool {
        matches!(
            self,
            Self::Diagnostics | Self::Channel(_) | Self::Attestation | Self::Socket(_)
        )
    }
}

/// A socket that the host has.
#[derive(Debug, Clone, Copy)]
pub struct Socket {
    /// The number by which the host knows it.
    pub number: u32,

    /// Whether its addresses are those of IPv6.
    pub is_v6: bool,

    /// Whether it is for datagrams.
    pub is_datagram: bool,

    pub(super) activity: Activity,
}

impl Socket {
    /// A socket that nothing has happened to.
    #[must_use]
    pub const fn new(number: u32, is_v6: bool, is_datagram: bool) -> Self {
        Self {
            number,
            is_v6,
            is_datagram,
            activity: Activity {
                readable: 0,
                writable: 0,
            },
        }
    }
}

/// Something open. Descriptors that were duplicated share one.
#[derive(Debug)]
pub struct Description {
    pub(super) object: Object,
    pub(super) status: u32,

    /// Where the next read or write is. In a directory: the number of the last entry that was
    /// listed.
    pub(super) offset: u64,

    descriptors: u32,
}

impl Description {
    /// What is open.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The access mode and status flags, as `F_GETFL` answers them.
    #[must_use]
    pub fn status_flags(&self) -> u32 {
        self.status
    }

    pub(super) fn is_readable(&self) -> bool {
        matches!(self.status & O_ACCMODE, O_RDONLY | O_RDWR)
    }

    pub(super) fn is_writable(&self) -> bool {
        matches!(self.status & O_ACCMODE, O_WRONLY | O_RDWR)
    }
}

/// What nothing stands for any more.
pub(super) struct Closed {
    /// The [`index`](Table::index) that it had.
    pub index: usize,
    pub object: Object,
}

/// All descriptors of the program.
pub(super) struct Table {
    /// What each descriptor stands for. There is nothing that it could be kept for beyond an
    /// execution.
    slots: Vec<Option<usize>>,
    descriptions: Vec<Option<Description>>,
}

impl Table {
    /// The descriptors that the runtime is started with.
    pub fn new(limit: u32) -> Self {
        let mut table = Self {
            slots: (0..limit).map(|_| None).collect(),
            descriptions: Vec::new(),
        };
        for (object, status) in [
            (Object::Null, O_RDWR | O_LARGEFILE),
            (Object::Null, O_RDWR | O_LARGEFILE),
            (Object::Diagnostics, O_WRONLY),
            (
                Object::Channel(Socket::new(CHANNEL as u32, false, false)),
                O_RDWR | O_NONBLOCK,
            ),
            (Object::Attestation, O_RDWR),
        ] {
            // A lower limit than that leaves some out.
            let _ = table.insert(object, status);
        }
        table
    }

    pub fn get(&self, descriptor: i32) -> Result<&Description, Error> {
        let description = self.descriptions.get(self.index(descriptor)?);
        description.and_then(Option::as_ref).ok_or(Error::EBADF)
    }

    /// Tells what is open apart, for as long as it is.
    pub fn index(&self, descriptor: i32) -> Result<usize, Error> {
        let number = usize::try_from(descriptor).map_err(|_| Error::EBADF)?;
        let slot = self.slots.get(number).copied().flatten();
        slot.ok_or(Error::EBADF)
    }

    /// What is open, by its [`index`](Self::index).
    pub fn object(&self, index: usize) -> Option<&Object> {
        let description = self.descriptions.get(index)?.as_ref()?;
        Some(&description.object)
    }

    /// Everything that is open.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let descriptions = self.descriptions.iter().flatten();
        descriptions.map(|description| &description.object)
    }

    /// As [`objects`](Self::objects), to be changed.
    pub fn objects_mut(&mut self) -> impl Iterator<Item = &mut Object> {
        let descriptions = self.descriptions.iter_mut().flatten();
        descriptions.map(|description| &mut description.object)
    }

    pub fn get_mut(&mut self, descriptor: i32) -> Result<&mut Description, Error> {
        let index = self.index(descriptor)?;
        let description = self.descriptions.get_mut(index);
        description.and_then(Option::as_mut).ok_or(Error::EBADF)
    }

    /// As [`get`](Self::get), but not what stands for nothing but a path.
    pub fn opened(&self, descriptor: i32) -> Result<&Description, Error> {
        let description = self.get(descriptor)?;
        match description.object {
            Object::Path(_) => Err(Error::EBADF),
            _ => Ok(description),
        }
    }

    /// As [`opened`](Self::opened), to be changed.
    pub fn opened_mut(&mut self, descriptor: i32) -> Result<&mut Description, Error> {
        let description = self.get_mut(descriptor)?;
        match description.object {
            Object::Path(_) => Err(Error::EBADF),
            _ => Ok(description),
        }
    }

    /// How many descriptors there can be.
    pub fn limit(&self) -> usize {
        self.slots.len()
    }

    /// The lowest descriptor from `lowest` that is not open.
    pub fn unused(&self, lowest: usize) -> Result<usize, Error> {
        let mut slots = self.slots.iter().enumerate().skip(lowest);
        let unused = slots.find(|(_, slot)| slot.is_none());
        unused.map(|(number, _)| number).ok_or(Error::EMFILE)
    }

    /// Opens the lowest descriptor that is not open.
    pub fn insert(&mut self, object: Object, status: u32) -> Result<u64, Error> {
        let number = self.unused(0)?;
        let description = Description {
            object,
            status,
            offset: 0,
            descriptors: 1,
        };
        let index = match self.descriptions.iter().position(Option::is_none) {
            Some(index) => {
                self.descriptions[index] = Some(description);
                index
            }
            None => {
                self.descriptions.push(Some(description));
                self.descriptions.len() - 1
            }
        };
        self.slots[number] = Some(index);
        Ok(number as u64)
    }

    /// Lets the lowest descriptor from `lowest` that is not open stand for the same as
    /// `descriptor`.
    pub fn duplicate(&mut self, descriptor: i32, lowest: usize) -> Result<u64, Error> {
        let index = self.index(descriptor)?;
        let number = self.unused(lowest)?;
        self.get_mut(descriptor)?.descriptors += 1;
        self.slots[number] = Some(index);
        Ok(number as u64)
    }

    /// Closes a descriptor. Answers what nothing stands for any more.
    pub fn close(&mut self, descriptor: i32) -> Result<Option<Closed>, Error> {
        let index = self.index(descriptor)?;
        self.slots[descriptor as usize] = None;
        let Some(entry) = self.descriptions.get_mut(index) else {
            return Ok(None);
        };
        if let Some(description) = entry
            && description.descriptors > 1
        {
            description.descriptors -= 1;
            return Ok(None);
        }
        Ok(entry.take().map(|description| Closed {
            index,
            object: description.object,
        }))
    }
}
