//! Files with keys, which nobody but their user can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Reads the text of such a file.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(LARGEST as usize));
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Writes `text` to a new one.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), KeyFileError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .map_err(|source| KeyFileError::Write {
            path: path.to_owned(),
            source,
        })
}

/// What went wrong with a file for a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It could not be read.
    #[error("could not read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be written.
    #[error("could not write {}: {source}; name a file that does not exist yet, in a directory of yours", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the key.
    #[error("{0} can be read by other users (mode {mode:04o}); run: chmod 600 {0}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// No key file is larger than this, in bytes.
const LARGEST: u64 = 16 << 10;
