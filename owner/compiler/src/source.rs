//! Where a program's bytes are.

use std::{
    borrow::Cow,
    fmt,
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::fs::{FsWord, fstatfs};

use crate::{DEFAULT_MAX_SIZE, Interface, InterfaceError};

/// A program: in memory, or in a file that is not read before it has to be compiled. `Debug`
/// does not show its bytes: they may be confidential.
#[derive(Clone)]
pub enum ProgramSource {
    /// In memory, in the binary or the text format.
    Memory(Vec<u8>),
    /// In a file, in the binary format.
    File(Arc<ProgramFile>),
}

/// An open file with a program in the binary format.
#[derive(Debug)]
pub struct ProgramFile {
    path: PathBuf,
    file: File,
    state: FileState,
    /// Whether that was old enough to tell its content when it was opened.
    was_settled: bool,
}

/// What of a file changes when its content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Seconds and nanoseconds of its last change.
    pub(crate) modified: (i64, i64),
    /// Of the last change of anything about it, which no program can choose.
    pub(crate) changed: (i64, i64),
}

/// Programs up to this many bytes are in memory: they are read sooner than looked up.
const SMALL: u64 = 256 << 10;

impl ProgramSource {
    /// The program in the file at `path`: of a regular file, whatever is in it.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::FileTooLarge`] over [`DEFAULT_MAX_SIZE`] bytes,
    /// [`io::ErrorKind::InvalidInput`] for what is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if metadata.len() > DEFAULT_MAX_SIZE as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let state = FileState::of(&metadata);
        let program = ProgramFile {
            path: path.to_owned(),
            file,
            state,
            was_settled: state.is_older_than(SETTLED),
        };
        let mut magic = [0; 4];
        if metadata.len() > SMALL {
            (&program.file).read_exact(&mut magic)?;
        }
        // Text has to be translated before anything can be said of it.
        if magic == *b"\0asm" {
            Ok(Self::File(Arc::new(program)))
        } else {
            program.read().map(Self::Memory)
        }
    }

    /// Bytes of the program.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.state.size,
        }
    }

    /// All of its bytes.
    ///
    /// # Errors
    ///
    /// The system's, and one of its own when the file is not any more what it was when it was
    /// opened.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(file) => {
                file.settle_writes();
                file.read().map(Cow::Owned)
            }
        }
    }

    /// What it imports and exports.
    ///
    /// # Errors
    ///
    /// [`InterfaceError`] when it is no WebAssembly, its sections are malformed, or it cannot be
    /// read.
    pub fn interface(&self) -> Result<Interface, InterfaceError> {
        match self {
            Self::Memory(bytes) => Interface::of(bytes),
            Self::File(file) => {
                let mut source = &file.file;
                source.rewind()?;
                Interface::read(io::BufReader::new(source), file.state.size)
            }
        }
    }
}

impl From<Vec<u8>> for ProgramSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes)
    }
}

impl fmt::Debug for ProgramSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(formatter, "Memory({} bytes)", bytes.len()),
            Self::File(file) => formatter.debug_tuple("File").field(&file.path).finish(),
        }
    }
}

impl ProgramFile {
    /// What told its content from others' when it was opened, if it can be told by that at all.
    pub(crate) fn lasting_state(&self) -> Option<FileState> {
        let system = fstatfs(&self.file).ok()?;
        LOCAL.contains(&system.f_type).then_some(self.state)
    }

    /// Whether its content is still what it was, and a change from now on would be seen.
    pub(crate) fn is_settled(&self) -> bool {
        let is_as_it_was = |metadata| FileState::of(&metadata) == self.state;
        self.was_settled && self.file.metadata().is_ok_and(is_as_it_was)
    }

    /// Has what is written to the file after this change its times. Whoever writes to memory that
    /// maps it changes them only with the first write after its pages were written to the disk.
    fn settle_writes(&self) {
        if self.lasting_state().is_some() {
            // A disk that cannot be written has no such writes to fear.
            let _ = self.file.sync_data();
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(self.state.size).map_err(io::Error::other)?)?;
        let mut source = &self.file;
        source.rewind()?;
        source.take(self.state.size).read_to_end(&mut bytes)?;
        if FileState::of(&self.file.metadata()?) == self.state {
            Ok(bytes)
        } else {
            Err(io::Error::other("it has changed since it was opened"))
        }
    }
}

/// How long nothing may have changed about a file before its times tell what is in it: system
/// clocks move in steps, those of file systems of up to two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// File systems on disks of this machine, by `f_type` (Linux, UAPI `linux/magic.h`): others may take their
/// times from clocks of their own, and those in memory do not change them for what is written to memory that
/// maps a file. Btrfs, ext2 to ext4, F2FS, XFS, ZFS.
const LOCAL: [FsWord; 5] = [0x9123_683e, 0xef53, 0xf2f5_2010, 0x5846_5342, 0x2fc1_2fc1];

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let latest = self.modified.max(self.changed);
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(latest.0), u64::try_from(latest.1))
        else {
            return false;
        };
        let since = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.is_ok_and(|now| now.checked_sub(since).is_some_and(|past| past >= age))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A module with one custom section, in all of `size` bytes.
    fn module(size: u32) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0\0".to_vec();
        let mut left = size - 13;
        wasm.extend((0..4).map(|_| {
            let low = (left & 0x7f) as u8 | 0x80;
            left >>= 7;
            low
        }));
        *wasm.last_mut().unwrap() &= 0x7f;
        wasm.resize(size as usize, 0);
        wasm
    }

    #[test]
    fn large_programs_stay_in_their_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.wasm");
        let wasm = module(SMALL as u32 + 1);
        fs::write(&path, &wasm).unwrap();
        let source = ProgramSource::open(&path).unwrap();
        assert!(matches!(source, ProgramSource::File(_)));
        assert_eq!(source.size(), wasm.len() as u64);
        assert!(source.interface().unwrap().exports.is_empty());
        // As often as they are asked for.
        assert!(source.bytes().unwrap() == wasm && source.bytes().unwrap() == wasm);
        assert!(!format!("{source:?}").contains("115"), "{source:?}");

        for small in [&module(SMALL as u32)[..], &[b' '; SMALL as usize + 1], b""] {
            fs::write(&path, small).unwrap();
            let source = ProgramSource::open(&path).unwrap();
            assert!(matches!(source, ProgramSource::Memory(_)));
            assert!(source.bytes().unwrap() == small);
        }
    }

    #[test]
    fn a_file_that_changes_is_not_mistaken_for_what_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.wasm");
        let wasm = module(SMALL as u32 + 1);
        fs::write(&path, &wasm).unwrap();
        let source = ProgramSource::open(&path).unwrap();
        let ProgramSource::File(file) = &source else {
            panic!("not in a file");
        };
        // It was written a moment ago.
        assert!(!file.is_settled());
        let file = File::options().append(true).open(&path).unwrap();
        io::Write::write_all(&mut &file, b"more").unwrap();
        let error = source.bytes().unwrap_err().to_string();
        assert!(error.contains("has changed"), "{error}");
    }

    #[test]
    fn what_is_no_program_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |path: &Path| ProgramSource::open(path).unwrap_err().kind();
        assert_eq!(refused(directory.path()), io::ErrorKind::InvalidInput);
        let path = directory.path().join("huge.wasm");
        let file = File::create(&path).unwrap();
        file.set_len(DEFAULT_MAX_SIZE as u64 + 1).unwrap();
        assert_eq!(refused(&path), io::ErrorKind::FileTooLarge);
    }
}
