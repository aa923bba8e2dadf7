//! A stand-in for `configfs-tsm`, as a file system of this process.
//!
//! It does what `drivers/virt/coco/guest/report.c` of Linux 6.16 and `fs/configfs` do: each
//! directory is one report with its attributes, writes are counted, a binary attribute is taken
//! over when it is closed, a report is made when it is read and is out of date, and errors are
//! the same.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::OsStr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use tempfile::TempDir;

/// What gives reports.
pub type Reporter = dyn Fn(&Order) -> Result<Blobs, Errno> + Send;

/// The driver of a TEE.
pub struct Driver {
    /// `provider`.
    pub name: &'static str,
    /// Whether the attributes of SEV-SNP are there, and the least privileged level.
    pub privilege_floor: Option<u32>,
    /// Makes a report from what was written.
    pub report: Box<Reporter>,
}

/// What was written for a report.
#[derive(Debug, Clone, Default)]
pub struct Order {
    pub inblob: Vec<u8>,
    pub privlevel: u32,
}

/// What a driver makes.
#[derive(Debug, Clone, Default)]
pub struct Blobs {
    pub outblob: Vec<u8>,
    pub auxblob: Vec<u8>,
}

/// What goes wrong, each once.
#[derive(Default)]
pub struct Trouble {
    /// Before a report is read, somebody else writes this as its `inblob`.
    pub intruders: VecDeque<Vec<u8>>,
    /// Instead of making a report, the driver fails.
    pub failures: VecDeque<Errno>,
    /// What `generation` says instead of what is so.
    pub generations: VecDeque<&'static str>,
}

/// The interface, mounted.
pub struct Configfs {
    state: Arc<Mutex<State>>,
    /// Dropped before the directory that it is mounted at.
    _session: BackgroundSession,
    directory: TempDir,
}

impl Configfs {
    /// An interface whose reports `driver` makes, if there is one.
    pub fn mount(driver: Option<Driver>) -> Self {
        let state = Arc::new(Mutex::new(State {
            driver,
            trouble: Trouble::default(),
            reports: BTreeMap::new(),
            files: HashMap::new(),
            made: 0,
        }));
        let directory = tempfile::tempdir().unwrap();
        let session = fuser::spawn_mount(
            Interface(state.clone()),
            directory.path(),
            &Config::default(),
        )
        .expect("a file system in user space can be mounted (/dev/fuse)");
        Self {
            state,
            _session: session,
            directory,
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn cause(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    /// The directories that there are now.
    pub fn reports(&self) -> usize {
        self.state().reports.len()
    }

    /// How many directories have been made so far.
    pub fn made(&self) -> u64 {
        self.state().made
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

struct State {
    driver: Option<Driver>,
    trouble: Trouble,
    reports: BTreeMap<String, Report>,
    files: HashMap<u64, OpenFile>,
    made: u64,
}

#[derive(Default)]
struct Report {
    /// The inode of its directory; those of its attributes follow.
    inode: u64,
    order: Order,
    blobs: Option<Blobs>,
    writes: u64,
    /// The count of writes when the blobs were made.
    read: u64,
}

struct OpenFile {
    report: u64,
    attribute: Attribute,
    /// What a binary attribute was when it was read first, or what is written into it.
    contents: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Generation,
    Provider,
    Privlevel,
    PrivlevelFloor,
    Inblob,
    Outblob,
    Auxblob,
}

impl Attribute {
    const ALL: [Self; 7] = [
        Self::Generation,
        Self::Provider,
        Self::Privlevel,
        Self::PrivlevelFloor,
        Self::Inblob,
        Self::Outblob,
        Self::Auxblob,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Provider => "provider",
            Self::Privlevel => "privlevel",
            Self::PrivlevelFloor => "privlevel_floor",
            Self::Inblob => "inblob",
            Self::Outblob => "outblob",
            Self::Auxblob => "auxblob",
        }
    }

    fn is_visible(self, driver: &Driver) -> bool {
        match self {
            Self::Privlevel | Self::PrivlevelFloor | Self::Auxblob => {
                driver.privilege_floor.is_some()
            }
            _ => true,
        }
    }

    fn is_written(self) -> bool {
        matches!(self, Self::Privlevel | Self::Inblob)
    }

    /// The largest `inblob` (`TSM_REPORT_INBLOB_MAX`).
    const MAX_INBLOB: usize = 64;
    /// The largest blob that is read (`TSM_REPORT_OUTBLOB_MAX`).
    const MAX_OUTBLOB: usize = 32 << 10;
}

/// Inodes of one report: its directory, then its attributes.
const INODES: u64 = 16;

impl State {
    fn report(&mut self, inode: u64) -> Result<&mut Report, Errno> {
        let mut reports = self.reports.values_mut();
        reports
            .find(|report| report.inode == inode)
            .ok_or(Errno::ENOENT)
    }

    /// The report that an inode belongs to, and which of its attributes it is.
    fn attribute(&mut self, inode: u64) -> Result<(u64, Attribute), Errno> {
        let index = usize::try_from(inode % INODES).map_err(|_| Errno::ENOENT)?;
        let report = inode - inode % INODES;
        self.report(report)?;
        let attribute = index
            .checked_sub(1)
            .and_then(|index| Attribute::ALL.get(index));
        Ok((report, *attribute.ok_or(Errno::ENOENT)?))
    }

    fn show(&mut self, report: u64, attribute: Attribute) -> Result<String, Errno> {
        if attribute == Attribute::Generation
            && let Some(lie) = self.trouble.generations.pop_front()
        {
            return Ok(lie.to_owned());
        }
        let driver = self.driver.as_ref().ok_or(Errno::ENXIO)?;
        let text = match attribute {
            Attribute::Provider => driver.name.to_owned(),
            Attribute::PrivlevelFloor => driver.privilege_floor.unwrap_or(0).to_string(),
            Attribute::Generation => self.report(report)?.writes.to_string(),
            _ => return Err(Errno::EACCES),
        };
        Ok(text + "\n")
    }

    fn store(&mut self, report: u64, attribute: Attribute, value: &[u8]) -> Result<(), Errno> {
        let floor = self.driver.as_ref().ok_or(Errno::ENXIO)?.privilege_floor;
        let report = self.report(report)?;
        match attribute {
            Attribute::Privlevel => {
                let text = std::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
                let level = text.trim_end().parse().map_err(|_| Errno::EINVAL)?;
                if level > 3 || floor.is_none_or(|floor| level < floor) {
                    return Err(Errno::EINVAL);
                }
                report.count()?;
                report.order.privlevel = level;
            }
            Attribute::Inblob => {
                report.count()?;
                report.order.inblob = value.to_vec();
            }
            _ => return Err(Errno::EACCES),
        }
        Ok(())
    }

    /// What a blob is now; the report is made if it is out of date.
    fn blob(&mut self, inode: u64, attribute: Attribute) -> Result<Vec<u8>, Errno> {
        if attribute == Attribute::Outblob
            && let Some(inblob) = self.trouble.intruders.pop_front()
        {
            self.store(inode, Attribute::Inblob, &inblob)?;
        }
        let report = self.report(inode)?;
        if report.order.inblob.is_empty() {
            return Err(Errno::EINVAL);
        }
        if report.blobs.is_none() || report.read != report.writes {
            let order = report.order.clone();
            report.blobs = None;
            if let Some(failure) = self.trouble.failures.pop_front() {
                return Err(failure);
            }
            let driver = self.driver.as_ref().ok_or(Errno::ENXIO)?;
            let blobs = (driver.report)(&order)?;
            let report = self.report(inode)?;
            report.blobs = Some(blobs);
            report.read = report.writes;
        }
        let blobs = self.report(inode)?.blobs.clone().unwrap_or_default();
        let blob = match attribute {
            Attribute::Outblob => blobs.outblob,
            _ => blobs.auxblob,
        };
        if Attribute::MAX_OUTBLOB < blob.len() {
            return Err(Errno::EFBIG);
        }
        Ok(blob)
    }

    fn read(&mut self, handle: u64) -> Result<Vec<u8>, Errno> {
        let file = self.files.get(&handle).ok_or(Errno::EBADF)?;
        let (report, attribute) = (file.report, file.attribute);
        if let Some(contents) = &file.contents {
            return Ok(contents.clone());
        }
        let contents = match attribute {
            Attribute::Outblob | Attribute::Auxblob => self.blob(report, attribute)?,
            _ => self.show(report, attribute)?.into_bytes(),
        };
        let file = self.files.get_mut(&handle).ok_or(Errno::EBADF)?;
        Ok(file.contents.insert(contents).clone())
    }

    fn write(&mut self, handle: u64, value: &[u8]) -> Result<(), Errno> {
        let file = self.files.get_mut(&handle).ok_or(Errno::EBADF)?;
        let (report, attribute) = (file.report, file.attribute);
        if attribute != Attribute::Inblob {
            return self.store(report, attribute, value);
        }
        let contents = file.contents.get_or_insert_default();
        if Attribute::MAX_INBLOB < contents.len() + value.len() {
            return Err(Errno::EFBIG);
        }
        contents.extend(value);
        Ok(())
    }

    /// Takes over a binary attribute. What goes wrong is told to nobody.
    fn close(&mut self, handle: u64) {
        let Some(file) = self.files.get_mut(&handle) else {
            return;
        };
        if file.attribute == Attribute::Inblob
            && let Some(contents) = file.contents.take()
        {
            let report = file.report;
            let _ = self.store(report, Attribute::Inblob, &contents);
        }
    }
}

impl Report {
    fn count(&mut self) -> Result<(), Errno> {
        // As many writes as there are numbers would look like none.
        if self.writes == self.read.wrapping_sub(1) {
            return Err(Errno::EBUSY);
        }
        self.writes = self.writes.wrapping_add(1);
        Ok(())
    }
}

struct Interface(Arc<Mutex<State>>);

/// Nothing is remembered by the kernel: attributes change by themselves.
const FOR_NOW: Duration = Duration::ZERO;

impl Interface {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn attributes(&self, inode: u64) -> Result<FileAttr, Errno> {
        if inode == u64::from(INodeNo::ROOT) {
            return Ok(file_attributes(inode, FileType::Directory, 0o755));
        }
        let mut state = self.state();
        if state.report(inode).is_ok() {
            return Ok(file_attributes(inode, FileType::Directory, 0o755));
        }
        let (_, attribute) = state.attribute(inode)?;
        let mode = if attribute.is_written() { 0o200 } else { 0o400 };
        Ok(file_attributes(inode, FileType::RegularFile, mode))
    }

    fn find(&self, parent: u64, name: &OsStr) -> Result<FileAttr, Errno> {
        let name = name.to_str().ok_or(Errno::ENOENT)?;
        let inode = {
            let mut state = self.state();
            if parent == u64::from(INodeNo::ROOT) {
                state.reports.get(name).ok_or(Errno::ENOENT)?.inode
            } else {
                state.report(parent)?;
                let driver = state.driver.as_ref().ok_or(Errno::ENOENT)?;
                let mut attributes = (1..).zip(Attribute::ALL);
                let found = attributes.find(|(_, attribute)| attribute.name() == name);
                let (index, attribute) = found.ok_or(Errno::ENOENT)?;
                if !attribute.is_visible(driver) {
                    return Err(Errno::ENOENT);
                }
                parent + index
            }
        };
        self.attributes(inode)
    }
}

impl Filesystem for Interface {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent.into(), name) {
            Ok(attributes) => reply.entry(&FOR_NOW, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.into()) {
            Ok(attributes) => reply.attr(&FOR_NOW, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let mut state = self.state();
        let Some(name) = name.to_str().filter(|_| parent == INodeNo::ROOT) else {
            return reply.error(Errno::EPERM);
        };
        if state.driver.is_none() {
            return reply.error(Errno::ENXIO);
        }
        if state.reports.contains_key(name) {
            return reply.error(Errno::EEXIST);
        }
        state.made += 1;
        let inode = state.made * INODES;
        let report = Report {
            inode,
            ..Report::default()
        };
        state.reports.insert(name.to_owned(), report);
        let attributes = file_attributes(inode, FileType::Directory, 0o755);
        reply.entry(&FOR_NOW, &attributes, Generation(0));
    }

    fn rmdir(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = name
            .to_str()
            .and_then(|name| self.state().reports.remove(name));
        match removed {
            Some(_) => reply.ok(),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mut state = self.state();
        let (report, attribute) = match state.attribute(inode.into()) {
            Ok(found) => found,
            Err(error) => return reply.error(error),
        };
        let writing = flags.0 & 3 != 0;
        if writing != attribute.is_written() {
            return reply.error(Errno::EACCES);
        }
        let handle = (0..)
            .find(|handle| !state.files.contains_key(handle))
            .unwrap_or_default();
        let file = OpenFile {
            report,
            attribute,
            contents: None,
        };
        state.files.insert(handle, file);
        reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().read(handle.0) {
            Ok(contents) => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|at| contents.get(at..));
                let rest = rest.unwrap_or_default();
                reply.data(&rest[..rest.len().min(size as usize)]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: u64,
        value: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.state().write(handle.0, value) {
            Ok(()) => reply.written(value.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.state().close(handle.0);
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.state().files.remove(&handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: u64, reply: ReplyDirectory) {
        // Nobody here lists what is there.
        reply.ok();
    }
}

fn file_attributes(inode: u64, kind: FileType, perm: u16) -> FileAttr {
    FileAttr {
        ino: INodeNo(inode),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
