//! Where a simulated processor is kept.
//!
//! ```text
//! <state directory>/snp.lock     held while a processor is made
//! <state directory>/snp/         mode 0700, appears complete or not at all
//!     ark.der ask.der vcek.der   the certificates
//!     vcek.key                   mode 0600, PKCS #8
//!     SHA384SUMS                 of the four, as `sha384sum` writes and checks it
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::Certificates;
use super::certificate::{self, CertificateError};

/// Why a simulated processor could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory could not be read.
    #[error("could not read {} of the simulated AMD secure processor: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be made.
    #[error(
        "could not write {} of the simulated AMD secure processor: {source}; check the directory's permissions and the free space",
        path.display()
    )]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the one that was written.
    #[error(
        "{} of the simulated AMD secure processor is damaged; remove {} and a new processor is made (policies that pin the old root must be changed)",
        path.display(),
        directory.display()
    )]
    Damaged {
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
    #[error("could not make a simulated AMD secure processor: {0}")]
    Certificate(#[from] CertificateError),
}

/// A stored processor.
pub(super) struct Stored {
    pub certificates: Certificates,
    pub key_document: Zeroizing<Vec<u8>>,
    pub key_path: PathBuf,
}

const DIRECTORY: &str = "snp";
const NEW_DIRECTORY: &str = "snp.new";
const LOCK: &str = "snp.lock";
const KEY: &str = "vcek.key";
const ARK: &str = "ark.der";
const ASK: &str = "ask.der";
const VCEK: &str = "vcek.der";
const SUMS: &str = "SHA384SUMS";

/// No stored file is larger than this, in bytes.
const LARGEST_FILE: u64 = 16 * 1024;

/// Whether there is a processor below `state_directory`.
pub(super) fn is_made(state_directory: &Path) -> bool {
    state_directory.join(DIRECTORY).join(SUMS).exists()
}

/// Loads the processor below `state_directory`; makes one if there is none.
pub(super) fn load_or_create(
    state_directory: &Path,
    announce: impl FnOnce(),
) -> Result<Stored, StateError> {
    let directory = state_directory.join(DIRECTORY);
    if let Some(stored) = load(&directory)? {
        return Ok(stored);
    }

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_directory)
        .map_err(writing(state_directory))?;
    let lock_path = state_directory.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(writing(&lock_path))?;
    lock.lock().map_err(writing(&lock_path))?;

    // Another process may have made it while this one waited.
    if let Some(stored) = load(&directory)? {
        return Ok(stored);
    }
    announce();
    create(state_directory, &directory)?;
    load(&directory)?.ok_or_else(|| StateError::Read {
        path: directory,
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Loads a processor, or `None` if the directory is not there.
fn load(directory: &Path) -> Result<Option<Stored>, StateError> {
    let sums_path = directory.join(SUMS);
    let sums = match read(&sums_path) {
        Ok(sums) => sums,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.exists() => {
            return Ok(None);
        }
        Err(error) => return Err(reading(&sums_path, directory)(error)),
    };
    let checked = |name: &str| {
        let path = directory.join(name);
        let contents = read(&path).map_err(reading(&path, directory))?;
        let line = sum_line(name, &contents);
        if sums
            .split_inclusive(|byte| *byte == b'\n')
            .any(|found| found == line.as_bytes())
        {
            Ok(contents)
        } else {
            Err(StateError::Damaged {
                path,
                directory: directory.to_owned(),
            })
        }
    };
    Ok(Some(Stored {
        certificates: Certificates {
            ark: checked(ARK)?.to_vec(),
            ask: checked(ASK)?.to_vec(),
            vcek: checked(VCEK)?.to_vec(),
        },
        key_path: directory.join(KEY),
        key_document: {
            refuse_exposed(&directory.join(KEY), directory)?;
            checked(KEY)?
        },
    }))
}

/// Makes a processor under another name and renames it into place, so that a
/// crash leaves nothing that looks like one.
fn create(state_directory: &Path, directory: &Path) -> Result<(), StateError> {
    let new = state_directory.join(NEW_DIRECTORY);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(writing(&new)(error)),
        _ => {}
    }
    let issued = certificate::issue()?;
    let key_document = issued
        .vcek
        .to_pkcs8v1()
        .map_err(|_| CertificateError::KeyGeneration)?;

    DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .map_err(writing(&new))?;
    let mut sums = String::new();
    for (name, contents) in [
        (ARK, &issued.certificates.ark[..]),
        (ASK, &issued.certificates.ask),
        (VCEK, &issued.certificates.vcek),
        (KEY, key_document.as_ref()),
    ] {
        write(&new.join(name), contents)?;
        sums.push_str(&sum_line(name, contents));
    }
    write(&new.join(SUMS), sums.as_bytes())?;
    sync_directory(&new)?;
    fs::rename(&new, directory).map_err(writing(directory))?;
    sync_directory(state_directory)
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let mut contents = Zeroizing::new(Vec::with_capacity(LARGEST_FILE as usize));
    file.take(LARGEST_FILE).read_to_end(&mut contents)?;
    Ok(contents)
}

fn write(path: &Path, contents: &[u8]) -> Result<(), StateError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(writing(path))?;
    file.write_all(contents)
        .and_then(|()| file.sync_all())
        .map_err(writing(path))
}

fn sync_directory(path: &Path) -> Result<(), StateError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(writing(path))
}

fn refuse_exposed(path: &Path, directory: &Path) -> Result<(), StateError> {
    let mode = fs::metadata(path).map_err(reading(path, directory))?.mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(StateError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

/// One line of `sha384sum`'s output.
fn sum_line(name: &str, contents: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA384, contents);
    format!("{}  {name}\n", hex::encode(digest))
}

/// A file that is missing from a directory that is there is damage, not absence.
fn reading(path: &Path, directory: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| {
        if source.kind() == io::ErrorKind::NotFound {
            StateError::Damaged {
                path: path.to_owned(),
                directory: directory.to_owned(),
            }
        } else {
            StateError::Read {
                path: path.to_owned(),
                source,
            }
        }
    }
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::Write {
        path: path.to_owned(),
        source,
    }
}
