//! Where a Keep's files are: its own namespaces, or a directory.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Confinement;
use super::steps::{Root, tmpfs_options};
use crate::LaunchError;

/// Where a Keep's files are. Dropping it removes what was made on the host.
#[derive(Debug)]
pub(crate) enum Workplace {
    /// An empty file system in memory, which goes with its namespace.
    Namespaces {
        /// Most bytes that it can hold.
        size: u64,
    },
    /// A private directory in memory.
    Directory {
        path: PathBuf,
        /// Locked for as long as the Keep lives.
        _lock: File,
    },
}

/// The Keep's user and group inside its namespaces: one without any privilege.
const NOBODY: u32 = 65534;

/// How the names of private directories begin.
const PREFIX: &str = "enarx-keep-";

impl Workplace {
    pub(crate) fn namespaces(size: u64) -> Self {
        Self::Namespaces { size }
    }

    /// Makes a private directory, and removes those that a killed host left.
    pub(crate) fn directory() -> Result<Self, LaunchError> {
        let shared_memory = Path::new("/dev/shm");
        let parent = if shared_memory.is_dir() {
            shared_memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        remove_abandoned(&parent);

        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| LaunchError::Random)?;
        let path = parent.join(format!("{PREFIX}{}", hex::encode(random)));
        let failed = |source| LaunchError::Directory {
            path: path.clone(),
            source,
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(failed)?;
        match lock(&path) {
            Ok(lock) => Ok(Self::Directory { path, _lock: lock }),
            Err(error) => {
                // The lock's error is the one worth telling.
                let _ = fs::remove_dir(&path);
                Err(failed(error))
            }
        }
    }

    /// The directory on the host; `/` if there is none.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Namespaces { .. } => Path::new("/"),
            Self::Directory { path, .. } => path,
        }
    }

    /// What the child has to do to get there, and who confines it.
    pub(super) fn root(&self, confinement: Confinement) -> Root {
        let text = |text: String| CString::new(text).unwrap_or_default();
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        match self {
            Self::Namespaces { size } => match confinement {
                Confinement::Before => Root::Namespaces {
                    user_map: text(format!("{NOBODY} {user} 1")),
                    group_map: text(format!("{NOBODY} {group} 1")),
                    tmpfs_options: text(tmpfs_options(*size)),
                },
                // Only the namespace's root keeps capabilities when it executes a program.
                Confinement::ByProgram => Root::NamespacesForProgram {
                    user_map: text(format!("0 {user} 1")),
                    group_map: text(format!("0 {group} 1")),
                },
            },
            Self::Directory { path, .. } => {
                Root::Directory(CString::new(path.as_os_str().as_bytes()).unwrap_or_default())
            }
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Self::Directory { path, .. } = self
            && let Err(error) = fs::remove_dir_all(&*path)
        {
            tracing::warn!(path = %path.display(), %error, "could not remove a Keep's directory");
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let directory = File::open(path)?;
    directory.try_lock().map_err(io::Error::from)?;
    Ok(directory)
}

/// Removes private directories below `parent` whose Keeps are gone, which shows in
/// their not being locked. A host that is killed cannot clean up after itself.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|metadata| is_old_and_ours(&metadata));
        if ours && let Ok(_lock) = lock(&entry.path()) {
            // Another host may be removing it at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A new directory may be one that its maker has not locked yet.
fn is_old_and_ours(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    metadata.is_dir()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata
            .modified()
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt;

        let workplace = Workplace::directory().unwrap();
        let path = workplace.path().to_owned();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o700
        );
        fs::write(path.join("file"), b"left by the Keep").unwrap();
        drop(workplace);
        assert!(!path.exists());
    }

    #[test]
    fn only_abandoned_directories_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
            File::open(&path).unwrap().set_modified(hour_ago).unwrap();
            path
        };
        let abandoned = make("enarx-keep-1");
        let used = make("enarx-keep-2");
        let other = make("other");
        let _lock = lock(&used).unwrap();
        remove_abandoned(parent.path());
        assert!(!abandoned.exists() && used.exists() && other.exists());
    }
}
