//! The nodes of the file system, and the names that lead to them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use linux_raw_sys::general::{NAME_MAX, S_IFDIR, S_IFLNK, S_IFREG};

use super::Limits;
use super::content::{Budget, Content};
use super::time::Time;
use crate::Error;

/// The number of a node of the file system, called inode number elsewhere. None is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeNumber(u64);

impl NodeNumber {
    pub(super) const ROOT: Self = Self(1);

    /// As `stat` tells it.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// A file, directory, or symbolic link.
pub(super) struct Node {
    pub kind: Kind,
    pub links: u64,

    /// What keeps it besides names: descriptions, and removed directories that were in it, whose `..` it is.
    holds: u64,
    pub accessed: Time,
    pub modified: Time,
    pub changed: Time,
}

pub(super) enum Kind {
    File(Content),
    Directory(Directory),
    Link(Box<[u8]>),
}

pub(super) struct Directory {
    pub parent: NodeNumber,
    entries: BTreeMap<Arc<[u8]>, Entry>,

    /// The entries by number.
    order: BTreeMap<u64, Arc<[u8]>>,
    next_entry: u64,
}

struct Entry {
    node: NodeNumber,
    number: u64,
}

/// What a node and a name take of the budget, besides a name's or target's bytes: what the
/// structures here take in memory, roughly, with what the heap adds.
const NODE_BYTES: u64 = 320;
const ENTRY_BYTES: u64 = 160;

impl Node {
    /// Type and permissions, which are those of all of its type: there is one user, who may do
    /// everything.
    pub fn mode(&self) -> u32 {
        match self.kind {
            Kind::File(_) => S_IFREG | 0o644,
            Kind::Directory(_) => S_IFDIR | 0o755,
            Kind::Link(_) => S_IFLNK | 0o777,
        }
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    pub fn directory(&self) -> Result<&Directory, Error> {
        match &self.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Error::ENOTDIR),
        }
    }

    fn directory_mut(&mut self) -> Result<&mut Directory, Error> {
        match &mut self.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Error::ENOTDIR),
        }
    }

    /// What it takes of the budget.
    fn bytes(&self) -> u64 {
        NODE_BYTES
            + match &self.kind {
                Kind::File(content) => content.cost(),
                Kind::Directory(_) => 0,
                Kind::Link(target) => target.len() as u64,
            }
    }
}

impl Directory {
    /// Numbers below are positions of `.` and `..` when a directory is listed.
    pub const FIRST_ENTRY: u64 = 3;

    pub fn new(parent: NodeNumber) -> Self {
        Self {
            parent,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            next_entry: Self::FIRST_ENTRY,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries with numbers below `number`, the latest first: who lists a directory in this
    /// order never meets what is added meanwhile.
    pub fn entries_below(&self, number: u64) -> impl Iterator<Item = (u64, &[u8], NodeNumber)> {
        self.order
            .range(..number)
            .rev()
            .filter_map(|(number, name)| {
                let entry = self.entries.get(name)?;
                Some((*number, &**name, entry.node))
            })
    }

    fn insert(&mut self, name: &[u8], node: NodeNumber) {
        let name: Arc<[u8]> = name.into();
        let number = self.next_entry;
        self.next_entry += 1;
        self.order.insert(number, name.clone());
        self.entries.insert(name, Entry { node, number });
    }

    fn remove(&mut self, name: &[u8]) -> Option<NodeNumber> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.number);
        Some(entry.node)
    }
}

/// All nodes.
///
/// A number that something refers to is that of a node; where that were not so, the methods
/// would answer [`Error::EIO`].
pub(super) struct Tree {
    nodes: BTreeMap<NodeNumber, Node>,
    next_number: u64,
    budget: Budget,
}

impl Tree {
    /// A root directory, which stays.
    pub fn new(limits: Limits) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            next_number: NodeNumber::ROOT.0,
            budget: Budget::new(limits.bytes, limits.heap_has_room),
        };
        let kind = Kind::Directory(Directory::new(NodeNumber::ROOT));
        tree.add(kind, Time::from_nanoseconds(0));
        tree
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn node(&self, number: NodeNumber) -> Result<&Node, Error> {
        self.nodes.get(&number).ok_or(Error::EIO)
    }

    pub fn node_mut(&mut self, number: NodeNumber) -> Result<&mut Node, Error> {
        self.nodes.get_mut(&number).ok_or(Error::EIO)
    }

    /// The content of a regular file, and what it may grow by.
    pub fn content_mut(
        &mut self,
        number: NodeNumber,
    ) -> Result<(&mut Content, &mut Budget), Error> {
        match self.nodes.get_mut(&number).map(|node| &mut node.kind) {
            Some(Kind::File(content)) => Ok((content, &mut self.budget)),
            _ => Err(Error::EINVAL),
        }
    }

    /// The node that a name leads to in a directory.
    pub fn child(&self, directory: NodeNumber, name: &[u8]) -> Result<Option<NodeNumber>, Error> {
        let node = self.node(directory)?;
        let entries = &node.directory()?.entries;
        if node.links == 0 {
            return Err(Error::ENOENT);
        }
        if name.len() > NAME_MAX as usize {
            return Err(Error::ENAMETOOLONG);
        }
        Ok(entries.get(name).map(|entry| entry.node))
    }

    /// Whether `directory` is `ancestor`, or is in it at any depth.
    pub fn is_within(
        &self,
        mut directory: NodeNumber,
        ancestor: NodeNumber,
    ) -> Result<bool, Error> {
        while directory != ancestor {
            if directory == NodeNumber::ROOT {
                return Ok(false);
            }
            directory = self.node(directory)?.directory()?.parent;
        }
        Ok(true)
    }

    /// Adds a node with a name that does not exist yet.
    pub fn create(
        &mut self,
        directory: NodeNumber,
        name: &[u8],
        kind: Kind,
        now: Time,
    ) -> Result<NodeNumber, Error> {
        let target = match &kind {
            Kind::Link(target) => target.len() as u64,
            _ => 0,
        };
        self.budget.take(NODE_BYTES + target + entry_bytes(name))?;
        let node = self.add(kind, now);
        self.attach(directory, name, node, now)?;
        Ok(node)
    }

    /// Gives a node another name, which does not exist yet.
    pub fn link(
        &mut self,
        directory: NodeNumber,
        name: &[u8],
        node: NodeNumber,
        now: Time,
    ) -> Result<(), Error> {
        self.budget.take(entry_bytes(name))?;
        let linked = self.node_mut(node)?;
        linked.links += 1;
        linked.changed = now;
        self.attach(directory, name, node, now)
    }

    /// Removes a name, and the node if nothing else leads to it.
    pub fn unlink(&mut self, directory: NodeNumber, name: &[u8], now: Time) -> Result<(), Error> {
        let node = self.detach(directory, name, now)?;
        let unlinked = self.node_mut(node)?;
        unlinked.changed = now;
        if unlinked.is_directory() {
            unlinked.links = 0;
            self.hold(directory);
        } else {
            unlinked.links -= 1;
        }
        self.forget_unused(node);
        Ok(())
    }

    /// Moves a node to another name, which does not exist yet.
    pub fn rename(
        &mut self,
        from: (NodeNumber, &[u8]),
        to: (NodeNumber, &[u8]),
        now: Time,
    ) -> Result<(), Error> {
        self.budget.take(entry_bytes(to.1))?;
        let node = self.detach(from.0, from.1, now)?;
        self.node_mut(node)?.changed = now;
        self.attach(to.0, to.1, node, now)
    }

    /// Keeps a node until it is released, even if no name leads to it any more.
    pub fn hold(&mut self, number: NodeNumber) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.holds += 1;
        }
    }

    /// Takes back what [`hold`](Self::hold) did once.
    pub fn release(&mut self, number: NodeNumber) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.holds = node.holds.saturating_sub(1);
        }
        self.forget_unused(number);
    }

    /// A new node that no name leads to yet.
    fn add(&mut self, kind: Kind, now: Time) -> NodeNumber {
        let number = NodeNumber(self.next_number);
        self.next_number += 1;
        let links = match kind {
            Kind::Directory(_) => 2,
            _ => 1,
        };
        let node = Node {
            kind,
            links,
            holds: 0,
            accessed: now,
            modified: now,
            changed: now,
        };
        self.nodes.insert(number, node);
        number
    }

    /// Puts a node into a directory. The budget has been asked.
    fn attach(
        &mut self,
        directory: NodeNumber,
        name: &[u8],
        number: NodeNumber,
        now: Time,
    ) -> Result<(), Error> {
        let node = self.node_mut(number)?;
        let is_directory = match &mut node.kind {
            Kind::Directory(moved) => {
                moved.parent = directory;
                true
            }
            _ => false,
        };
        let parent = self.node_mut(directory)?;
        parent.directory_mut()?.insert(name, number);
        parent.links += u64::from(is_directory);
        parent.modified = now;
        parent.changed = now;
        Ok(())
    }

    /// Takes a node out of a directory.
    fn detach(
        &mut self,
        directory: NodeNumber,
        name: &[u8],
        now: Time,
    ) -> Result<NodeNumber, Error> {
        let parent = self.node_mut(directory)?;
        let node = parent.directory_mut()?.remove(name).ok_or(Error::ENOENT)?;
        parent.modified = now;
        parent.changed = now;
        self.budget.give_back(entry_bytes(name));
        if self.node(node)?.is_directory() {
            self.node_mut(directory)?.links -= 1;
        }
        Ok(node)
    }

    /// Removes a node that nothing leads to, and then those that only it kept.
    fn forget_unused(&mut self, mut number: NodeNumber) {
        while let Some(node) = self.nodes.get(&number)
            && node.links == 0
            && node.holds == 0
        {
            self.budget.give_back(node.bytes());
            let parent = node.directory().map(|directory| directory.parent);
            self.nodes.remove(&number);
            let Ok(parent) = parent else { return };
            if let Some(parent) = self.nodes.get_mut(&parent) {
                parent.holds = parent.holds.saturating_sub(1);
            }
            number = parent;
        }
    }
}

fn entry_bytes(name: &[u8]) -> u64 {
    ENTRY_BYTES + name.len() as u64
}
