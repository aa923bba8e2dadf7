//! Data files, and reading them one after the other.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use enarx_wire_package::{ContentKey, Digest, EntryKind};
use zeroize::Zeroizing;

use super::{ApplicationError, package::PackagedData};

/// A file for the program to read, or for the Keep itself.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// What it is.
    pub kind: EntryKind,
    /// Its absolute path as the program sees it; for what it does not see, a name.
    pub target: String,
    /// Its size in bytes when the application was loaded.
    pub size: u64,
    /// Its SHA-384, if a package's manifest says it.
    pub digest: Option<Digest>,
    /// Where its bytes are.
    pub source: DataSource,
}

/// Where a data file's bytes are.
#[derive(Clone)]
pub enum DataSource {
    /// Here: what is small and may be secret.
    Memory(Arc<Zeroizing<Vec<u8>>>),
    /// In this file.
    Path(PathBuf),
    /// In this package, at its place.
    Package {
        /// The package.
        path: PathBuf,
        /// The package's key.
        key: ContentKey,
    },
}

impl fmt::Debug for DataSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(formatter, "Memory({} bytes)", bytes.len()),
            Self::Path(path) => formatter.debug_tuple("Path").field(path).finish(),
            Self::Package { path, .. } => formatter.debug_tuple("Package").field(path).finish(),
        }
    }
}

/// Gives the bytes of data files, file by file in their order, with bounded memory.
#[derive(Debug)]
pub struct DataReader<'a> {
    files: std::slice::Iter<'a, DataFile>,
    /// The package that is being read; its files are neighbours.
    package: Option<PackagedData>,
}

impl<'a> DataReader<'a> {
    pub(super) fn new(files: &'a [DataFile]) -> Self {
        Self {
            files: files.iter(),
            package: None,
        }
    }

    /// The next file and a reader of its bytes, `None` after the last one. All of
    /// the file must be read before the next one is asked for.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] when the file or the package cannot be opened.
    pub fn next_file(&mut self) -> Result<Option<(&'a DataFile, DataBytes<'_>)>, ApplicationError> {
        let Some(file) = self.files.next() else {
            return Ok(None);
        };
        let bytes = match &file.source {
            DataSource::Memory(bytes) => Source::Memory(bytes),
            DataSource::Path(path) => {
                Source::File(File::open(path).map_err(|error| ApplicationError::file(path, error))?)
            }
            DataSource::Package { path, key } => {
                let package = match &mut self.package {
                    Some(package) => package,
                    none => none.insert(PackagedData::open(path, key)?),
                };
                Source::Package(package.take(file.size))
            }
        };
        Ok(Some((file, DataBytes(bytes))))
    }
}

/// The bytes of one data file.
pub struct DataBytes<'a>(Source<'a>);

enum Source<'a> {
    Memory(&'a [u8]),
    File(File),
    Package(io::Take<&'a mut PackagedData>),
}

impl Read for DataBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Memory(bytes) => bytes.read(buffer),
            Source::File(file) => file.read(buffer),
            Source::Package(bytes) => bytes.read(buffer),
        }
    }
}
