//! The runtime as an executable file.
//!
//! Copying the runtime's ten megabytes into a file in memory takes about as long as
//! everything else in a launch together. So a copy is kept: in the image
//! cache on disk if the caller named a directory, from where the system maps it
//! without copying, else in memory for as long as the backend lives.
//!
//! Either way the file has mode 0111. What its user cannot read, the system does not
//! let be dumped or traced when it runs (`would_dump` in the Linux kernel's
//! `fs/exec.c`), so a Keep is undumpable from its first instruction on.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use enarx_wire_launch::{Digest, KeepImage};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

use crate::LaunchError;

/// Executable copies of Keep images.
#[derive(Debug)]
pub(crate) struct ImageStore {
    cache: Option<PathBuf>,
    in_memory: Mutex<HashMap<Digest, Arc<OwnedFd>>>,
}

/// Permissions of an executable copy.
const MODE: u32 = 0o111;

impl ImageStore {
    pub(crate) fn new(cache: Option<&Path>) -> Self {
        Self {
            cache: cache.map(Path::to_owned),
            in_memory: Mutex::default(),
        }
    }

    /// A descriptor that the runtime of `image` can be executed from.
    ///
    /// A cache that cannot be used, for example because its file system forbids
    /// execution, costs time and nothing else: the copy is made in memory then.
    pub(crate) fn executable(&self, image: &KeepImage<'_>) -> Result<Arc<OwnedFd>, LaunchError> {
        let mut in_memory = self
            .in_memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(descriptor) = in_memory.get(&image.runtime_digest) {
            return Ok(Arc::clone(descriptor));
        }
        let from_cache = match self.cache.as_deref() {
            None => None,
            Some(directory) => match from_cache(directory, image) {
                Ok(descriptor) => Some(descriptor),
                Err(LaunchError::ImageDigest) => return Err(LaunchError::ImageDigest),
                Err(error) => {
                    tracing::warn!(%error, "running without the image cache");
                    None
                }
            },
        };
        let descriptor = match from_cache {
            Some(descriptor) => descriptor,
            None => in_memory_file(image.runtime).map_err(LaunchError::ImageInMemory)?,
        };
        let descriptor = Arc::new(descriptor);
        in_memory.insert(image.runtime_digest, Arc::clone(&descriptor));
        Ok(descriptor)
    }
}

/// Opens the cached copy of `image` below `directory`, made first if need be.
fn from_cache(directory: &Path, image: &KeepImage<'_>) -> Result<OwnedFd, LaunchError> {
    let path = directory.join(format!("runtime-{}", hex::encode(image.runtime_digest)));
    let failed = |source| LaunchError::ImageCache {
        path: path.clone(),
        source,
    };
    if let Some(descriptor) = open_cached(&path, image.runtime.len()).map_err(failed)? {
        return Ok(descriptor);
    }
    let actual = digest::digest(&digest::SHA384, image.runtime);
    if actual.as_ref() != image.runtime_digest {
        return Err(LaunchError::ImageDigest);
    }
    write_cached(directory, &path, image.runtime).map_err(failed)?;
    open_cached(&path, image.runtime.len())
        .map_err(failed)?
        .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

/// Opens a copy that is this user's own, complete, and executable where it lies.
/// Its contents are not read again: whoever can change this user's files can
/// also change the program that would check them.
fn open_cached(path: &Path, size: usize) -> io::Result<Option<OwnedFd>> {
    let descriptor = match rustix::fs::open(
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let status = rustix::fs::fstat(&descriptor)?;
    let complete = status.st_mode == libc::S_IFREG | MODE
        && u64::try_from(status.st_size).ok() == u64::try_from(size).ok()
        && status.st_uid == rustix::process::geteuid().as_raw();
    let flags = rustix::fs::fstatvfs(&descriptor)?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its file system is mounted noexec",
        ));
    }
    Ok(complete.then_some(descriptor))
}

/// Writes a copy under another name and renames it into place, so that no other
/// process ever sees half of one.
fn write_cached(directory: &Path, path: &Path, runtime: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let new = directory.join(format!("runtime-new-{}", hex::encode(random)));
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(runtime)?;
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
        file.sync_all()?;
        // An executable must not be open for writing when it is executed.
        drop(file);
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = fs::remove_file(&new);
    }
    written
}

/// A sealed file in memory.
fn in_memory_file(runtime: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know MFD_EXEC and always make executable files.
    let descriptor = match rustix::fs::memfd_create(c"enarx-keep", flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(c"enarx-keep", flags)?,
        other => other?,
    };
    let mut rest = runtime;
    while !rest.is_empty() {
        let count = rustix::io::write(&descriptor, rest)?;
        rest = &rest[count..];
    }
    rustix::fs::fchmod(&descriptor, Mode::from_raw_mode(MODE))?;
    rustix::fs::fcntl_add_seals(
        &descriptor,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(runtime: &[u8]) -> KeepImage<'_> {
        let mut runtime_digest = [0; 48];
        runtime_digest.copy_from_slice(digest::digest(&digest::SHA384, runtime).as_ref());
        KeepImage {
            runtime,
            runtime_digest,
            sgx: enarx_wire_launch::SgxImage::default(),
            vm: enarx_wire_launch::VmImage::default(),
        }
    }

    #[test]
    fn the_file_in_memory_is_sealed_and_made_once() {
        let store = ImageStore::new(None);
        let first = store.executable(&image(b"runtime")).unwrap();
        let second = store.executable(&image(b"runtime")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(
            rustix::io::write(&*first, b"x"),
            Err(rustix::io::Errno::PERM)
        );
        assert!(rustix::fs::ftruncate(&*first, 0).is_err());
    }

    #[test]
    fn the_cache_is_filled_once_and_a_partial_copy_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let image = image(b"runtime");
        let path = directory
            .path()
            .join(format!("runtime-{}", hex::encode(image.runtime_digest)));
        from_cache(directory.path(), &image).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            MODE
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        fs::remove_file(&path).unwrap();
        fs::write(&path, b"run").unwrap();
        from_cache(directory.path(), &image).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 7);
    }

    #[test]
    fn a_wrong_digest_is_never_cached() {
        let directory = tempfile::tempdir().unwrap();
        let mut image = image(b"runtime");
        image.runtime_digest[0] ^= 1;
        assert!(matches!(
            from_cache(directory.path(), &image),
            Err(LaunchError::ImageDigest)
        ));
        let store = ImageStore::new(Some(directory.path()));
        assert!(matches!(
            store.executable(&image),
            Err(LaunchError::ImageDigest)
        ));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unusable_cache_is_done_without() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let store = ImageStore::new(Some(file.path()));
        store.executable(&image(b"runtime")).unwrap();
    }
}
