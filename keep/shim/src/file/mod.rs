//! Files and descriptors that exist only inside the Keep.
//!
//! A file system in memory, the table of descriptors, and the system calls on both, as Linux
//! has them: what a program sees is a `tmpfs` at `/`, mounted with `noatime`, whose only user
//! is number 0. There are no devices and no `/proc`. The descriptors that lead out of the Keep
//! are only kept here: what they are and which status flags they have. Their data is served
//! elsewhere.
//!
//! Nothing here waits: a call that would wait answers [`Error::EAGAIN`](crate::Error::EAGAIN),
//! and the caller decides by the description's status flags.

mod attribute;
mod call;
mod content;
mod control;
mod descriptor;
mod epoll;
mod event;
mod listing;
mod name;
mod open;
mod path;
mod position;
mod socket;
mod status;
mod time;
mod transfer;
mod tree;
mod watch;

pub use descriptor::{Description, Object, Socket};
pub use epoll::{Epoll, Event};
pub use event::Counter;
pub use socket::Edge;
pub use time::Time;
pub use tree::NodeNumber;
pub use watch::Phase;

use crate::Error;
use alloc::vec::Vec;

use descriptor::{Closed, Table};
use tree::Tree;

/// What a Keep's files may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many descriptors can be open; each is less than this.
    pub open_files: u32,

    /// Bytes of memory for contents, names and all else that is kept of files.
    ///
    pub bytes: u64,

    /// Whether the heap has memory for any of that; there is always some left for what must not fail.
    pub heap_has_room: fn() -> bool,
}

/// The file system and the descriptors of one program.
pub struct Files {
    tree: Tree,
    table: Table,

    /// The last number that a socket was given.
    last_socket: u32,

    /// Sockets that nothing stands for any more, which the host does not know yet.
    closed_sockets: Vec<u32>,

    /// How often something happened that a program may wait for.
    changes: u64,
}

impl Files {
    /// An empty root directory, which is and stays the working directory, and the descriptors
    /// that the runtime is started with (see `enarx_wire_hostcall`).
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            tree: Tree::new(limits),
            table: Table::new(limits.open_files),
            last_socket: 0,
            closed_sockets: Vec::new(),
            changes: 0,
        }
    }

    /// What a descriptor stands for.
    ///
    /// # Errors
    ///
    /// [`Error::EBADF`] when it is not open.
    pub fn descriptor(&self, descriptor: i32) -> Result<&Description, Error> {
        self.table.get(descriptor)
    }

    /// Bytes of memory that are left for files.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.tree.budget().left()
    }

    /// How often something happened that a program may wait for: a descriptor became ready, or
    /// others are waited for.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Forgets what no descriptor stands for any more.
    fn discard(&mut self, closed: Option<Closed>) {
        let Some(Closed { index, object }) = closed else {
            return;
        };
        match object {
            Object::File(node) | Object::Directory(node) | Object::Path(node) => {
                self.tree.release(node);
                return;
            }
            Object::Socket(socket) => self.closed_sockets.push(socket.number),
            _ => {}
        }
        for object in self.table.objects_mut() {
            if let Object::Epoll(epoll) = object {
                epoll.forget(index);
            }
        }
        self.changes += 1;
    }
}
