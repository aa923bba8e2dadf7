//! The cache on disk.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
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
    /// What the service calls this version of it (RFC 9110, section 8.8.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Entry {
    /// The document and its issuer chain, in the forms in which files have them.
    pub fn documents(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        // Intel's service sends PEM in headers, percent-encoded (RFC 3986, section 2.1).
        let chain = self.issuer_chain.as_deref();
        let chain = chain.map(|chain| percent_encoding::percent_decode_str(chain).collect());
        core::iter::once(self.body.clone()).chain(chain)
    }
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
/// The largest store in bytes; what was written first makes room.
const MAX_STORE: u64 = 64 << 20;

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

    /// The names of all entries, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the directory cannot be read.
    pub fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut keys: Vec<_> = self.files()?.into_iter().map(|file| file.key).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// The entry of this name, one of [`Self::keys`].
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        if is_key(key) {
            self.read(key)
        } else {
            Ok(None)
        }
    }

    /// Removes all entries; gives their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when one cannot be removed.
    pub fn clear(&self) -> Result<usize, StoreError> {
        let keys = self.keys()?;
        for key in &keys {
            self.remove(key)?;
        }
        Ok(keys.len())
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
        self.remove(key)?;
        Ok(None)
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
        write().map_err(|source| failed(&path, source))?;
        self.make_room(key)
    }

    /// Removes what was written first until the store is no larger than it may be.
    fn make_room(&self, newest: &str) -> Result<(), StoreError> {
        let mut files = self.files()?;
        let mut size: u64 = files.iter().map(|file| file.size).sum();
        files.sort_by_key(|file| file.written);
        for file in files.iter().filter(|file| file.key != newest) {
            if size <= MAX_STORE {
                break;
            }
            self.remove(&file.key)?;
            size -= file.size;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<StoredFile>, StoreError> {
        let failed = |source| failed(&self.directory, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(key) = entry.file_name().into_string() else {
                continue;
            };
            // Another process may have removed it since.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
                && is_key(&key)
            {
                files.push(StoredFile {
                    key,
                    size: metadata.len(),
                    written: metadata.modified().map_err(failed)?,
                });
            }
        }
        Ok(files)
    }

    fn remove(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }
}

struct StoredFile {
    key: String,
    size: u64,
    written: SystemTime,
}

/// Whether entries can have this name. Names become file names: none may lead elsewhere.
pub(crate) fn is_key(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=255).contains(&name.len()) && name.bytes().all(allowed)
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
