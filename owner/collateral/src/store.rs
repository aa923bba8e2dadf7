//! The cache on disk.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Item;

/// A document with what came along. Its bytes are not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The document.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// The issuer chain as the service sent it, URL-encoded PEM.
    pub issuer_chain: Option<String>,
    /// When it was fetched, in seconds since 1970.
    pub fetched_at: u64,
}

/// A directory of entries, one file each, readable by its owner alone.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system failed.
    #[error("the collateral cache at {path:?} cannot be used: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An entry is too large to be kept.
    #[error("the entry {key:?} is larger than {MAX_ENTRY} bytes or cannot be encoded")]
    Entry {
        /// Which.
        key: String,
    },
}

/// The largest encoded entry in bytes.
pub(crate) const MAX_ENTRY: usize = 4 << 20;

impl Store {
    /// Opens the store at `directory`, which is made with mode 0700 when it is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|source| failed(&directory, source))?;
        Ok(Self { directory })
    }

    /// The entry of `item`. One that cannot be decoded is removed and counts as none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it cannot be read.
    pub fn get(&self, item: &Item) -> Result<Option<Entry>, StoreError> {
        self.read(&item.key())
    }

    /// Keeps `entry`, in one step, in place of what was there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it is too large or cannot be written.
    pub fn put(&self, item: &Item, entry: &Entry) -> Result<(), StoreError> {
        self.write(&item.key(), entry)
    }

    pub(crate) fn read(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let path = self.path(key);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(&path, source)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_ENTRY as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| failed(&path, source))?;
        if let Ok(entry) = enarx_wire_cbor::from_slice(&bytes, MAX_ENTRY) {
            return Ok(Some(entry));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
            _ => Ok(None),
        }
    }

    pub(crate) fn write(&self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        let bytes = enarx_wire_cbor::to_vec(entry)
            .ok()
            .filter(|bytes| bytes.len() <= MAX_ENTRY)
            .ok_or_else(|| StoreError::Entry {
                key: key.to_owned(),
            })?;
        let path = self.path(key);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| failed(&path, source))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
