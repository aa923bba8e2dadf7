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
mod event;
mod listing;
mod name;
mod open;
mod path;
mod position;
mod status;
mod time;
mod transfer;
mod tree;

pub use descriptor::{Description, Object};
pub use event::Counter;
pub use tree::NodeNumber;

use crate::Error;
use descriptor::Table;
use tree::Tree;

/// What a Keep's files may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many descriptors can be open; each is less than this.
    pub open_files: u32,

    /// Bytes of memory for contents, names and all else that is kept of files.
    ///
    /// Contents ask for memory such that the call fails where the heap has none left. The rest
    /// does not, so the heap should have this many bytes to give.
    pub bytes: u64,
}

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// A read would not wait.
    pub readable: bool,

    /// A write would not wait.
    pub writable: bool,
}

/// The file system and the descriptors of one program.
pub struct Files {
    tree: Tree,
    table: Table,
    working_directory: NodeNumber,
    mode_mask: u32,
}

impl Files {
    /// An empty root directory, which is also the working directory, and the descriptors
    /// that the runtime is started with (see `enarx_wire_hostcall`).
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let mut tree = Tree::new(limits.bytes);
        tree.hold(NodeNumber::ROOT);
        Self {
            tree,
            table: Table::new(limits.open_files),
            working_directory: NodeNumber::ROOT,
            mode_mask: 0o022,
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

    /// What a descriptor is ready for, or nothing where that is known elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::EBADF`] when it is not open, or stands for nothing but a path.
    pub fn poll_events(&self, descriptor: i32) -> Result<Option<Readiness>, Error> {
        Ok(match self.table.opened(descriptor)?.object() {
            Object::Diagnostics | Object::Channel | Object::Attestation => None,
            Object::EventFd(counter) => Some(counter.readiness()),
            Object::Null | Object::File(_) | Object::Directory(_) | Object::Path(_) => {
                Some(Readiness {
                    readable: true,
                    writable: true,
                })
            }
        })
    }

    /// Forgets an object that no descriptor stands for any more.
    fn discard(&mut self, object: Option<Object>) {
        if let Some(node) = object.and_then(|object| object.node()) {
            self.tree.release(node);
        }
    }
}
