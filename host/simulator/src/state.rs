//! Where a simulated TEE is kept.
//!
//! ```text
//! <state directory>/snp.lock     held while the TEE `snp` is made
//! <state directory>/snp/         mode 0700, appears complete or not at all
//!     ark.der vcek.key ...       mode 0600, what its layout lists
//!     SHA384SUMS                 of all of them, as `sha384sum` writes and checks it
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::x509::CertificateError;

/// Why a simulated TEE could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory could not be read.
    #[error("could not read {} of the simulated {tee}: {source}", path.display())]
    Read {
        /// What is simulated.
        tee: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be made.
    #[error(
        "could not write {} of the simulated {tee}: {source}; check the directory's permissions and the free space",
        path.display()
    )]
    Write {
        /// What is simulated.
        tee: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the one that was written.
    #[error(
        "{} of the simulated {tee} is damaged; remove {} and a new one is made (policies that pin the old root must be changed)",
        path.display(),
        directory.display()
    )]
    Damaged {
        /// What is simulated.
        tee: &'static str,
        /// The damaged file.
        path: PathBuf,
        /// The directory to remove.
        directory: PathBuf,
    },
    /// Others may read the key.
    #[error("{0} can be read by other users (mode {mode:04o}); run: chmod 600 {0}", path.display())]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Keys or certificates could not be made.
    #[error("could not make a simulated {tee}: {source}")]
    Issue {
        /// What is simulated.
        tee: &'static str,
        /// What failed.
        source: CertificateError,
    },
}

/// What is kept of one kind of simulated TEE.
pub(crate) struct Layout<const FILES: usize> {
    /// What is simulated, in words.
    pub tee: &'static str,
    /// The name of the directory.
    pub directory: &'static str,
    /// The names of the files.
    pub files: [StoredFile; FILES],
}

/// A file of a [`Layout`].
#[derive(Clone, Copy)]
pub(crate) enum StoredFile {
    /// What anyone may read.
    Public(&'static str),
    /// A key, which is not used once others could read it.
    Secret(&'static str),
}

/// The contents of a layout's files, in its order.
pub(crate) type Contents<const FILES: usize> = [Zeroizing<Vec<u8>>; FILES];

impl<const FILES: usize> Layout<FILES> {
    /// Whether there is one below `state_directory`.
    pub(crate) fn is_made(&self, state_directory: &Path) -> bool {
        self.directory_in(state_directory).join(SUMS).exists()
    }

    /// Where the files are.
    pub(crate) fn directory_in(&self, state_directory: &Path) -> PathBuf {
        state_directory.join(self.directory)
    }

    /// Loads what is below `state_directory`; makes it with `issue` if it is not there.
    pub(crate) fn load_or_create(
        &self,
        state_directory: &Path,
        announce: impl FnOnce(),
        issue: impl FnOnce() -> Result<Contents<FILES>, CertificateError>,
    ) -> Result<Contents<FILES>, StateError> {
        let directory = self.directory_in(state_directory);
        if let Some(stored) = self.load(&directory)? {
            return Ok(stored);
        }

        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_directory)
            .map_err(self.writing(state_directory))?;
        let lock_path = state_directory.join(format!("{}.lock", self.directory));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(self.writing(&lock_path))?;
        lock.lock().map_err(self.writing(&lock_path))?;

        // Another process may have made it while this one waited.
        if let Some(stored) = self.load(&directory)? {
            return Ok(stored);
        }
        announce();
        self.create(state_directory, &directory, issue)?;
        self.load(&directory)?.ok_or_else(|| StateError::Read {
            tee: self.tee,
            path: directory,
            source: io::ErrorKind::NotFound.into(),
        })
    }

    /// Loads the files, or `None` if the directory is not there.
    fn load(&self, directory: &Path) -> Result<Option<Contents<FILES>>, StateError> {
        let sums_path = directory.join(SUMS);
        let sums = match read(&sums_path) {
            Ok(sums) => sums,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.exists() => {
                return Ok(None);
            }
            Err(error) => return Err(self.reading(&sums_path, directory)(error)),
        };
        let mut contents: Contents<FILES> = std::array::from_fn(|_| Zeroizing::default());
        for (file, contents) in self.files.iter().zip(&mut contents) {
            let path = directory.join(file.name());
            if let StoredFile::Secret(_) = file {
                self.refuse_exposed(&path, directory)?;
            }
            let found = read(&path).map_err(self.reading(&path, directory))?;
            let line = sum_line(file.name(), &found);
            let mut lines = sums.split_inclusive(|byte| *byte == b'\n');
            if !lines.any(|found| found == line.as_bytes()) {
                return Err(self.damaged(&path, directory));
            }
            *contents = found;
        }
        Ok(Some(contents))
    }

    /// Makes the files under another name and renames them into place, so that a crash
    /// leaves nothing that looks like a TEE.
    fn create(
        &self,
        state_directory: &Path,
        directory: &Path,
        issue: impl FnOnce() -> Result<Contents<FILES>, CertificateError>,
    ) -> Result<(), StateError> {
        let new = state_directory.join(format!("{}.new", self.directory));
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.writing(&new)(error));
            }
            _ => {}
        }
        let contents = issue().map_err(|source| StateError::Issue {
            tee: self.tee,
            source,
        })?;

        DirBuilder::new()
            .mode(0o700)
            .create(&new)
            .map_err(self.writing(&new))?;
        let mut sums = String::new();
        for (file, contents) in self.files.iter().zip(&contents) {
            self.write(&new.join(file.name()), contents)?;
            sums.push_str(&sum_line(file.name(), contents));
        }
        self.write(&new.join(SUMS), sums.as_bytes())?;
        self.sync_directory(&new)?;
        fs::rename(&new, directory).map_err(self.writing(directory))?;
        self.sync_directory(state_directory)
    }

    fn write(&self, path: &Path, contents: &[u8]) -> Result<(), StateError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(self.writing(path))?;
        file.write_all(contents)
            .and_then(|()| file.sync_all())
            .map_err(self.writing(path))
    }

    fn sync_directory(&self, path: &Path) -> Result<(), StateError> {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(self.writing(path))
    }

    fn refuse_exposed(&self, path: &Path, directory: &Path) -> Result<(), StateError> {
        let metadata = fs::metadata(path).map_err(self.reading(path, directory))?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 == 0 {
            Ok(())
        } else {
            Err(StateError::Exposed {
                path: path.to_owned(),
                mode,
            })
        }
    }

    /// A file that is missing from a directory that is there is damage, not absence.
    fn reading(&self, path: &Path, directory: &Path) -> impl FnOnce(io::Error) -> StateError {
        move |source| {
            if source.kind() == io::ErrorKind::NotFound {
                self.damaged(path, directory)
            } else {
                StateError::Read {
                    tee: self.tee,
                    path: path.to_owned(),
                    source,
                }
            }
        }
    }

    fn writing(&self, path: &Path) -> impl FnOnce(io::Error) -> StateError {
        move |source| StateError::Write {
            tee: self.tee,
            path: path.to_owned(),
            source,
        }
    }

    /// The error for a file that is not what was written.
    pub(crate) fn damaged(&self, path: &Path, directory: &Path) -> StateError {
        StateError::Damaged {
            tee: self.tee,
            path: path.to_owned(),
            directory: directory.to_owned(),
        }
    }
}

impl StoredFile {
    const fn name(&self) -> &'static str {
        match self {
            Self::Public(name) | Self::Secret(name) => name,
        }
    }
}

const SUMS: &str = "SHA384SUMS";

/// No stored file is larger than this, in bytes.
const LARGEST_FILE: u64 = 16 * 1024;

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let mut contents = Zeroizing::new(Vec::with_capacity(LARGEST_FILE as usize));
    file.take(LARGEST_FILE).read_to_end(&mut contents)?;
    Ok(contents)
}

/// One line of `sha384sum`'s output.
fn sum_line(name: &str, contents: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA384, contents);
    format!("{}  {name}\n", hex::encode(digest))
}
