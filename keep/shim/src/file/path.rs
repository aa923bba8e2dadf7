//! Where paths lead.

use alloc::vec::Vec;

use linux_raw_sys::general::{AT_EMPTY_PATH, AT_FDCWD, PATH_MAX};

use super::tree::{Kind, NodeNumber, Tree};
use super::{Description, Files};
use crate::{Error, UserMemory};

/// How many symbolic links one path can lead over.
const MOST_LINKS: u32 = 40;

/// A descriptor that a path starts from, and the path's address.
pub(super) type At = (i32, u64);

/// What a path is to lead to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// What the last name links to, not the link.
    pub follow: bool,

    /// A directory.
    pub directory: bool,

    /// Where the last name does not exist, its place.
    pub create: bool,
}

/// What a path leads to.
pub(super) enum Found<'p> {
    Node(NodeNumber),
    Place(NodeNumber, &'p [u8]),
}

/// The last part of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Last<'p> {
    /// There is none: the path has nothing but slashes.
    Root,
    Dot,
    DotDot,

    /// A name, and whether slashes follow it.
    Name(&'p [u8], bool),
}

/// What a descriptor and a path mean together.
pub(super) enum Target<'a> {
    Node(NodeNumber),

    /// Something open that is not in the file system.
    Open(&'a Description),
}

impl Target<'_> {
    /// The node, where it is one.
    pub fn node(&self) -> Option<NodeNumber> {
        match self {
            Self::Node(node) => Some(*node),
            Self::Open(_) => None,
        }
    }
}

/// A path on its way.
struct Walk<'p> {
    tree: &'p Tree,
    at: NodeNumber,
    links: u32,

    /// Where it must not lead out of (`RESOLVE_BENEATH`).
    within: Option<NodeNumber>,
}

impl Files {
    /// A path as a system call is given it.
    pub(super) fn path(memory: &impl UserMemory, address: u64) -> Result<Vec<u8>, Error> {
        memory.string(address, PATH_MAX as usize)
    }

    /// The node that a path leads to; what the last name links to, if it shall `follow`.
    pub(super) fn find(
        &self,
        descriptor: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<NodeNumber, Error> {
        let wanted = Wanted {
            follow,
            ..Wanted::default()
        };
        match self.look_up(descriptor, path, wanted, false)? {
            Found::Node(node) => Ok(node),
            Found::Place(..) => Err(Error::ENOENT),
        }
    }

    /// What a path leads to, which must not leave the directory that it starts from if it
    /// `is_beneath`.
    pub(super) fn look_up<'p>(
        &'p self,
        descriptor: i32,
        path: &'p [u8],
        wanted: Wanted,
        is_beneath: bool,
    ) -> Result<Found<'p>, Error> {
        self.walk(descriptor, path, is_beneath)?.along(path, wanted)
    }

    /// The directory that a path's last part is to be looked up in, and that part.
    pub(super) fn parent<'p>(
        &self,
        descriptor: i32,
        path: &'p [u8],
    ) -> Result<(NodeNumber, Last<'p>), Error> {
        let (directories, last) = split(path);
        let mut walk = self.walk(descriptor, path, false)?;
        walk.through(directories)?;
        Ok((walk.at, last))
    }

    /// What a descriptor and the path at `address` mean together; the descriptor itself if the
    /// path is empty and `flags` allow that.
    pub(super) fn target(
        &self,
        memory: &impl UserMemory,
        (descriptor, address): At,
        flags: u32,
        follow: bool,
    ) -> Result<Target<'_>, Error> {
        let path = Self::path(memory, address)?;
        if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
            return self.target_of(descriptor);
        }
        self.find(descriptor, &path, follow).map(Target::Node)
    }

    /// What a descriptor means by itself.
    pub(super) fn target_of(&self, descriptor: i32) -> Result<Target<'_>, Error> {
        if descriptor == AT_FDCWD {
            return Ok(Target::Node(NodeNumber::ROOT));
        }
        let description = self.table.get(descriptor)?;
        Ok(match description.object.node() {
            Some(node) => Target::Node(node),
            None => Target::Open(description),
        })
    }

    /// Where a path starts.
    fn walk(&self, descriptor: i32, path: &[u8], is_beneath: bool) -> Result<Walk<'_>, Error> {
        let is_absolute = match path {
            [] => return Err(Error::ENOENT),
            [first, ..] => *first == b'/',
        };
        if is_absolute && is_beneath {
            return Err(Error::EXDEV);
        }
        let mut at = NodeNumber::ROOT;
        if !is_absolute && descriptor != AT_FDCWD {
            let node = self.table.get(descriptor)?.object.node();
            at = node.ok_or(Error::ENOTDIR)?;
            self.tree.node(at)?.directory()?;
        }
        Ok(Walk {
            tree: &self.tree,
            at,
            links: 0,
            within: is_beneath.then_some(at),
        })
    }
}

impl<'p> Walk<'p> {
    fn along(mut self, mut path: &'p [u8], mut wanted: Wanted) -> Result<Found<'p>, Error> {
        loop {
            let (directories, last) = split(path);
            self.through(directories)?;
            if let Last::Name(name, slash) = last {
                if slash && wanted.create {
                    return Err(Error::EISDIR);
                }
                wanted.follow |= slash;
                wanted.directory |= slash;
                if wanted.create && self.tree.child(self.at, name)?.is_none() {
                    return Ok(Found::Place(self.at, name));
                }
            }
            match self.step(last, wanted.follow)? {
                Some(target) => path = target,
                None => break,
            }
        }
        if wanted.directory {
            self.tree.node(self.at)?.directory()?;
        }
        Ok(Found::Node(self.at))
    }

    /// Along names that all must lead to directories.
    ///
    /// It calls itself for each link, of which there are at most [`MOST_LINKS`].
    fn through(&mut self, path: &'p [u8]) -> Result<(), Error> {
        let names = path.split(|byte| *byte == b'/');
        for name in names.filter(|name| !name.is_empty()) {
            if let Some(target) = self.step(Last::new(name, true), true)? {
                self.through(target)?;
            }
            self.tree.node(self.at)?.directory()?;
        }
        Ok(())
    }

    /// Along one name. Answers what is to be followed then.
    fn step(&mut self, part: Last<'_>, follow: bool) -> Result<Option<&'p [u8]>, Error> {
        let name = match part {
            Last::Root | Last::Dot => return Ok(None),
            Last::DotDot => {
                if self.within == Some(self.at) {
                    return Err(Error::EXDEV);
                }
                // The root is its own.
                self.at = self.tree.node(self.at)?.directory()?.parent;
                return Ok(None);
            }
            Last::Name(name, _) => name,
        };
        let child = self.tree.child(self.at, name)?.ok_or(Error::ENOENT)?;
        match &self.tree.node(child)?.kind {
            Kind::Link(target) if follow => self.follow(target),
            _ => {
                self.at = child;
                Ok(None)
            }
        }
    }

    fn follow(&mut self, target: &'p [u8]) -> Result<Option<&'p [u8]>, Error> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Error::ELOOP);
        }
        if target.starts_with(b"/") {
            if self.within.is_some() {
                return Err(Error::EXDEV);
            }
            self.at = NodeNumber::ROOT;
        }
        Ok(Some(target))
    }
}

impl<'p> Last<'p> {
    fn new(name: &'p [u8], slash: bool) -> Self {
        match name {
            b"" => Self::Root,
            b"." => Self::Dot,
            b".." => Self::DotDot,
            _ => Self::Name(name, slash),
        }
    }
}

/// A path's directories and its last part.
fn split(path: &[u8]) -> (&[u8], Last<'_>) {
    let end = path.iter().rposition(|byte| *byte != b'/');
    let end = end.map_or(0, |last| last + 1);
    let start = path[..end].iter().rposition(|byte| *byte == b'/');
    let start = start.map_or(0, |slash| slash + 1);
    (
        &path[..start],
        Last::new(&path[start..end], end < path.len()),
    )
}
