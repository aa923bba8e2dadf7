//! Where paths lead.

use alloc::vec::Vec;

use linux_raw_sys::general::{AT_EMPTY_PATH, AT_FDCWD, PATH_MAX};

use super::tree::{Directory, Kind, NodeNumber, Tree};
use super::{Description, Files};
use crate::{Error, UserMemory};

/// How many symbolic links one path can lead over.
const MOST_LINKS: u32 = 40;

/// What a path must not do (`RESOLVE_*` of `openat2`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// Leave the directory that it starts from.
    pub beneath: bool,

    /// See anything but the directory that it starts from as the root.
    pub in_root: bool,

    /// Lead over symbolic links.
    pub no_links: bool,
}

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

impl Wanted {
    pub const LINKED: Self = Self {
        follow: true,
        directory: false,
        create: false,
    };
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
    root: NodeNumber,
    links: u32,
    rules: Rules,
}

impl Files {
    /// A path as a system call is given it.
    pub(super) fn path(memory: &impl UserMemory, address: u64) -> Result<Vec<u8>, Error> {
        memory.string(address, PATH_MAX as usize)
    }

    /// The node that a path leads to.
    pub(super) fn find(
        &self,
        descriptor: i32,
        path: &[u8],
        wanted: Wanted,
    ) -> Result<NodeNumber, Error> {
        match self.look_up(descriptor, path, wanted, Rules::default())? {
            Found::Node(node) => Ok(node),
            Found::Place(..) => Err(Error::ENOENT),
        }
    }

    /// What a path leads to under special rules.
    pub(super) fn look_up<'p>(
        &'p self,
        descriptor: i32,
        path: &'p [u8],
        wanted: Wanted,
        rules: Rules,
    ) -> Result<Found<'p>, Error> {
        self.walk(descriptor, path, rules)?.along(path, wanted)
    }

    /// The directory that a path's last part is to be looked up in, and that part.
    pub(super) fn parent<'p>(
        &self,
        descriptor: i32,
        path: &'p [u8],
    ) -> Result<(NodeNumber, Last<'p>), Error> {
        let (directories, last) = split(path);
        let mut walk = self.walk(descriptor, path, Rules::default())?;
        walk.through(directories)?;
        Ok((walk.at, last))
    }

    /// What a descriptor and the path at `address` mean together; the descriptor itself if the
    /// path is empty and `flags` allow that.
    pub(super) fn target(
        &self,
        memory: &impl UserMemory,
        descriptor: i32,
        address: u64,
        flags: u32,
        follow: bool,
    ) -> Result<Target<'_>, Error> {
        let path = Self::path(memory, address)?;
        if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
            return self.target_of(descriptor);
        }
        let wanted = Wanted {
            follow,
            ..Wanted::default()
        };
        self.find(descriptor, &path, wanted).map(Target::Node)
    }

    /// What a descriptor means by itself.
    pub(super) fn target_of(&self, descriptor: i32) -> Result<Target<'_>, Error> {
        if descriptor == AT_FDCWD {
            return Ok(Target::Node(self.working_directory));
        }
        let description = self.table.get(descriptor)?;
        Ok(match description.object.node() {
            Some(node) => Target::Node(node),
            None => Target::Open(description),
        })
    }

    /// Where a path starts.
    fn walk(&self, descriptor: i32, path: &[u8], rules: Rules) -> Result<Walk<'_>, Error> {
        let mut walk = Walk {
            tree: &self.tree,
            at: NodeNumber::ROOT,
            root: NodeNumber::ROOT,
            links: 0,
            rules,
        };
        let absolute = match path {
            [] => return Err(Error::ENOENT),
            [b'/', ..] => true,
            _ => false,
        };
        if absolute && !rules.in_root {
            return if rules.beneath {
                Err(Error::EXDEV)
            } else {
                Ok(walk)
            };
        }
        walk.at = if descriptor == AT_FDCWD {
            self.working_directory
        } else {
            let node = self.table.get(descriptor)?.object.node();
            let node = node.ok_or(Error::ENOTDIR)?;
            self.tree.node(node)?.directory()?;
            node
        };
        if rules.beneath || rules.in_root {
            walk.root = walk.at;
        }
        Ok(walk)
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
                if self.at != self.root {
                    self.at = self.directory()?.parent;
                } else if self.rules.beneath {
                    return Err(Error::EXDEV);
                }
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
        if self.links > MOST_LINKS || self.rules.no_links {
            return Err(Error::ELOOP);
        }
        if target.starts_with(b"/") {
            if self.rules.beneath {
                return Err(Error::EXDEV);
            }
            self.at = self.root;
        }
        Ok(Some(target))
    }

    fn directory(&self) -> Result<&'p Directory, Error> {
        self.tree.node(self.at)?.directory()
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
