//! A directory of artifacts.
//!
//! One file holds one artifact, under a name made of the program's digest, the
//! target and the compiler's configuration. Files appear whole, by renaming, and
//! are never changed: any number of processes may use a directory at once.
//!
//! A file is:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | the text `ENARXART` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | CRC-32 of the artifact |
//! | 16 | 8 | size of the artifact in bytes |
//! | 24 | 48 | the key: SHA-384, see [`Key`] |
//! | 72 | | the artifact |
//!
//! Integers are little-endian. The checksum finds damage, not malice: the
//! directory must belong to its user alone, and [`ArtifactCache::open`] sees to it.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use enarx_wire_target::CompileTarget;

use crate::{Digest, sha384};

/// Bytes that a cache may hold by default.
pub const DEFAULT_CAPACITY: u64 = 4 << 30;

/// A directory of artifacts, or none.
#[derive(Debug, Clone)]
pub struct ArtifactCache {
    place: Option<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    capacity: u64,
}

impl ArtifactCache {
    /// Opens `directory`, creating it for this user alone (mode 0700) if it does
    /// not exist. After each addition the least recently used artifacts are
    /// removed until at most `capacity` bytes remain.
    ///
    /// # Errors
    ///
    /// [`CacheError`] when the directory cannot be created, or others may write
    /// to it: what is in it would become the code that Keeps run.
    pub fn open(directory: &Path, capacity: u64) -> Result<Self, CacheError> {
        let failed = |error| CacheError::new(directory, error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let metadata = fs::metadata(directory).map_err(failed)?;
        let owner = rustix::process::geteuid().as_raw();
        if metadata.uid() != owner || metadata.permissions().mode() & 0o022 != 0 {
            return Err(CacheError::NotPrivate {
                path: directory.to_owned(),
            });
        }
        Ok(Self {
            place: Some(Place {
                directory: directory.to_owned(),
                capacity,
            }),
        })
    }

    /// A cache that never has and never keeps anything.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { place: None }
    }

    /// The artifact of `key`, if a sound one is there.
    pub(crate) fn load(&self, key: &Key) -> Result<Option<Vec<u8>>, CacheError> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let path = place.path(key);
        let failed = |error| CacheError::new(&path, error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let artifact = read(&mut file, key)
            .map_err(failed)?
            .ok_or_else(|| CacheError::Damaged { path: path.clone() })?;
        // Use counts as age. A directory that cannot be written still serves.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(artifact))
    }

    /// Keeps `artifact` under `key`, replacing what is there.
    pub(crate) fn store(&self, key: &Key, artifact: &[u8]) -> Result<(), CacheError> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        let path = place.path(key);
        write(&place.directory, &path, key, artifact)
            .and_then(|()| place.evict())
            .map_err(|error| CacheError::new(&path, error))
    }
}

/// What went wrong with a cache. Compilation goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file system refused.
    #[error("{}: {error}", .path.display())]
    File {
        /// What was read, written or created.
        path: PathBuf,
        /// Why it was refused.
        error: io::Error,
    },
    /// A file is not what was written; it has been replaced.
    #[error("{}: damaged, compiled anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others could put machine code into the directory.
    #[error("{}: belongs to another user or is writable by others; it must be yours with mode 0700", .path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },
}

impl CacheError {
    fn new(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// What an artifact depends on: the program, the target, and how this version of
/// the project configures wasmtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Digest);

impl Key {
    pub(crate) fn new(program: &Digest, target: &CompileTarget) -> Self {
        // No part of a target contains a line feed.
        let target = format!(
            "{}\n{}\n{:?}\n{}\n",
            target.wasmtime(),
            target.triple(),
            target.memory(),
            target.features().join(" ")
        );
        let configuration = enarx_wire_target::ENGINE_CONFIGURATION;
        Self(sha384(&[
            program,
            target.as_bytes(),
            configuration.as_bytes(),
        ]))
    }
}

const MAGIC: &[u8; 8] = b"ENARXART";
const VERSION: u32 = 1;
const HEADER_SIZE: usize = 72;
const EXTENSION: &str = "artifact";

/// Temporary files of this age are left over from a writer that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

impl Place {
    fn path(&self, key: &Key) -> PathBuf {
        let mut name = hex::encode(key.0);
        name.push('.');
        name.push_str(EXTENSION);
        self.directory.join(name)
    }

    /// Removes the least recently used artifacts beyond the capacity. Other
    /// processes may do the same at the same time: a file that is gone is gone.
    fn evict(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut files = Vec::new();
        let mut total = 0u64;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let (path, modified) = (entry.path(), metadata.modified()?);
            if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                total = total.saturating_add(metadata.len());
                files.push((modified, metadata.len(), path));
            } else if is_temporary(&path)
                && now
                    .duration_since(modified)
                    .is_ok_and(|age| age > ABANDONED)
            {
                let _ = fs::remove_file(path);
            }
        }
        files.sort();
        for (_, size, path) in files {
            if total <= self.capacity {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => total = total.saturating_sub(size),
            }
        }
        Ok(())
    }
}

const TEMPORARY_PREFIX: &str = ".writing-";

fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(TEMPORARY_PREFIX))
}

/// Reads an artifact; `None` when the file is damaged.
fn read(file: &mut File, key: &Key) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER_SIZE];
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let size = file.metadata()?.len() - HEADER_SIZE as u64;
    let mut sized = [0; 8];
    sized.copy_from_slice(&header[16..24]);
    if u64::from_le_bytes(sized) != size {
        return Ok(None);
    }
    let mut artifact = Vec::new();
    artifact
        .try_reserve_exact(usize::try_from(size).map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    file.take(size).read_to_end(&mut artifact)?;
    Ok((header == encode_header(key, &artifact)).then_some(artifact))
}

fn write(directory: &Path, path: &Path, key: &Key, artifact: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(directory)?;
    file.write_all(&encode_header(key, artifact))?;
    file.write_all(artifact)?;
    // Not synchronized: after a power failure the checksum tells.
    file.persist(path)?;
    Ok(())
}

fn encode_header(key: &Key, artifact: &[u8]) -> [u8; HEADER_SIZE] {
    let mut header = [0; HEADER_SIZE];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&crc32fast::hash(artifact).to_le_bytes());
    header[16..24].copy_from_slice(&(artifact.len() as u64).to_le_bytes());
    header[24..].copy_from_slice(&key.0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key([number; 48])
    }

    fn cache(capacity: u64) -> (tempfile::TempDir, ArtifactCache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::open(&directory.path().join("a/b"), capacity).unwrap();
        (directory, cache)
    }

    fn file(cache: &ArtifactCache, number: u8) -> PathBuf {
        cache.place.as_ref().unwrap().path(&key(number))
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_directory, cache) = cache(1000);
        assert!(cache.load(&key(1)).unwrap().is_none());
        cache.store(&key(1), b"code").unwrap();
        assert_eq!(cache.load(&key(1)).unwrap().unwrap(), b"code");
        assert!(cache.load(&key(2)).unwrap().is_none());
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let (_directory, cache) = cache(1 << 20);
        let artifact = vec![7; 300];
        cache.store(&key(1), &artifact).unwrap();
        let path = file(&cache, 1);
        let sound = fs::read(&path).unwrap();
        let damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            matches!(cache.load(&key(1)), Err(CacheError::Damaged { .. }))
        };
        for index in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[index] ^= 0x10;
            assert!(damaged(&flipped), "byte {index}");
            assert!(damaged(&sound[..index]), "cut at {index}");
        }
        assert!(damaged(&[sound.as_slice(), b"more"].concat()));
        // An artifact under another one's name.
        cache.store(&key(2), &artifact).unwrap();
        assert!(damaged(&fs::read(file(&cache, 2)).unwrap()));
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let (_directory, cache) = cache(350);
        for number in 1..=3 {
            cache.store(&key(number), &[number; 40]).unwrap();
            let old = SystemTime::now() - Duration::from_secs(100 - u64::from(number));
            let file = File::options()
                .write(true)
                .open(file(&cache, number))
                .unwrap();
            file.set_modified(old).unwrap();
        }
        // 1 is the oldest, but it is used again.
        cache.load(&key(1)).unwrap().unwrap();
        cache.store(&key(4), &[4; 40]).unwrap();
        let kept: Vec<bool> = (1..=4)
            .map(|number| file(&cache, number).exists())
            .collect();
        assert_eq!(kept, [true, false, true, true]);
    }

    #[test]
    fn leftovers_of_killed_writers_are_removed() {
        let (_directory, cache) = cache(1000);
        let directory = file(&cache, 1).parent().unwrap().to_owned();
        let leftover = directory.join(".writing-abandoned");
        let current = directory.join(".writing-current");
        fs::write(&current, b"part").unwrap();
        let file = File::create(&leftover).unwrap();
        file.set_modified(SystemTime::now() - 2 * ABANDONED)
            .unwrap();
        cache.store(&key(1), b"code").unwrap();
        assert!(!leftover.exists() && current.exists());
    }

    #[test]
    fn the_directory_must_be_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        ArtifactCache::open(&path, 0).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(
            ArtifactCache::open(&path, 0),
            Err(CacheError::NotPrivate { .. })
        ));
    }

    #[test]
    fn concurrent_writers_and_readers_see_whole_files() {
        let (_directory, cache) = cache(u64::MAX);
        let artifact = vec![9; 1 << 20];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        cache.store(&key(1), &artifact).unwrap();
                        assert!(cache.load(&key(1)).unwrap().unwrap() == artifact);
                    }
                });
            }
        });
    }
}
