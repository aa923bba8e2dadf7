//! Opening files.

use linux_raw_sys::general::{
    __O_SYNC, FASYNC, O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC,
    O_EXCL, O_LARGEFILE, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_TRUNC,
    RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV, open_how,
};

use super::content::Content;
use super::path::{At, Found, Wanted};
use super::time::Time;
use super::tree::{Kind, NodeNumber};
use super::{Files, Object};
use crate::{Error, UserMemory};

const KNOWN_FLAGS: u32 = O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_DSYNC
    | __O_SYNC
    | FASYNC
    | O_DIRECT
    | O_LARGEFILE
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_NOATIME
    | O_CLOEXEC
    | O_PATH;

/// What can be said together with `O_PATH`.
const PATH_FLAGS: u32 = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;

/// Rules of `openat2`; those but the last are kept by everything here.
const KNOWN_RULES: u32 = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;

const PERMISSIONS: u32 = 0o7777;

/// How a file is to be opened.
pub(super) struct How {
    flags: u32,

    /// Whether the path must not leave the directory that it starts from.
    is_beneath: bool,
}

impl How {
    /// As `open` and `openat` say it: what they cannot mean is ignored.
    pub fn new(flags: u32, mode: u32) -> Result<Self, Error> {
        let mut flags = flags & KNOWN_FLAGS | O_LARGEFILE;
        if flags & O_PATH != 0 {
            flags &= PATH_FLAGS;
        }
        let mode = if flags & O_CREAT != 0 {
            mode & PERMISSIONS
        } else {
            0
        };
        Self::checked(u64::from(flags), u64::from(mode), 0)
    }

    /// As `openat2` says it.
    pub fn from_memory(memory: &impl UserMemory, address: u64, length: u64) -> Result<Self, Error> {
        const SIZE: u64 = size_of::<open_how>() as u64;
        if length != SIZE {
            return Err(if length < SIZE {
                Error::EINVAL
            } else {
                Error::E2BIG
            });
        }
        let field = |offset| memory.long(address.wrapping_add(offset as u64));
        let mut flags = field(core::mem::offset_of!(open_how, flags))?;
        if flags & u64::from(O_PATH) == 0 {
            flags |= u64::from(O_LARGEFILE);
        }
        Self::checked(
            flags,
            field(core::mem::offset_of!(open_how, mode))?,
            field(core::mem::offset_of!(open_how, resolve))?,
        )
    }

    fn checked(flags: u64, mode: u64, resolve: u64) -> Result<Self, Error> {
        let flags = only(KNOWN_FLAGS, flags)?;
        let resolve = only(KNOWN_RULES, resolve)?;
        let has = |flag| flags & flag != 0;
        only(if has(O_CREAT) { PERMISSIONS } else { 0 }, mode)?;
        if has(O_CREAT) && has(O_DIRECTORY) || has(O_PATH) && flags & !PATH_FLAGS != 0 {
            return Err(Error::EINVAL);
        }
        Ok(Self {
            flags,
            is_beneath: resolve & RESOLVE_BENEATH != 0,
        })
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether what exists is not to be opened.
    fn is_exclusive(&self) -> bool {
        self.has(O_CREAT) && self.has(O_EXCL)
    }
}

impl Files {
    pub(super) fn open(
        &mut self,
        memory: &impl UserMemory,
        (descriptor, path): At,
        how: &How,
        now: Time,
    ) -> Result<u64, Error> {
        let path = Self::path(memory, path)?;
        // Before anything is created.
        self.table.unused(0)?;
        let wanted = Wanted {
            follow: !(how.has(O_NOFOLLOW) || how.is_exclusive()),
            directory: how.has(O_DIRECTORY),
            create: how.has(O_CREAT),
        };
        let object = match self.look_up(descriptor, &path, wanted, how.is_beneath)? {
            Found::Place(directory, name) => {
                // It may be in the target of a link, which belongs to the tree.
                let name = name.to_vec();
                let kind = Kind::File(Content::default());
                let node = self.tree.create(directory, &name, kind, now)?;
                Object::File(node)
            }
            Found::Node(node) if how.has(O_PATH) => Object::Path(node),
            Found::Node(node) => self.open_existing(node, how, now)?,
        };
        if let Some(node) = object.node() {
            self.tree.hold(node);
        }
        let status = how.flags & !(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
        self.table.insert(object, status)
    }

    fn open_existing(&mut self, number: NodeNumber, how: &How, now: Time) -> Result<Object, Error> {
        if how.is_exclusive() {
            return Err(Error::EEXIST);
        }
        match self.tree.node(number)?.kind {
            Kind::Link(_) => Err(Error::ELOOP),
            Kind::Directory(_) => {
                let writes = how.flags & O_ACCMODE != O_RDONLY || how.has(O_TRUNC);
                if writes || how.has(O_CREAT) {
                    return Err(Error::EISDIR);
                }
                Ok(Object::Directory(number))
            }
            Kind::File(_) => {
                if how.has(O_TRUNC) {
                    self.resize(number, 0, now)?;
                }
                Ok(Object::File(number))
            }
        }
    }
}

/// A number that has no other bits than `known`.
fn only(known: u32, value: u64) -> Result<u32, Error> {
    let value = u32::try_from(value).map_err(|_| Error::EINVAL)?;
    if value & !known == 0 {
        Ok(value)
    } else {
        Err(Error::EINVAL)
    }
}
