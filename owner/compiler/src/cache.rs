//! A directory of artifacts.
//!
//! One file holds one artifact, under a name made of the program's digest, the
//! target and the compiler's configuration. Files appear whole, by renaming, and
//! are never changed: any number of processes may use a directory at once. Beside the artifacts
//! stands which program is in which file ([`recollection`]).
//!
//! An artifact's file is:
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

mod recollection;

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use enarx_wire_target::{Calls, CompileTarget};

use crate::{Digest, MachineCode, ProgramId, ProgramSource, sha384};

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

    /// What program is in `source`, if it is a file about which that was kept and that has not
    /// changed since.
    #[must_use]
    pub fn recall(&self, source: &ProgramSource) -> Option<ProgramId> {
        let (place, ProgramSource::File(file)) = (self.place.as_ref()?, source) else {
            return None;
        };
        let state = file.lasting_state()?;
        let kept = File::open(place.directory.join(recollection::name(&state))).ok()?;
        let mut bytes = [0; recollection::SIZE];
        (&kept).read_exact(&mut bytes).ok()?;
        let program = recollection::decode(&bytes, &state)?;
        // Use counts as age. A directory that cannot be written still serves.
        let _ = kept.set_modified(SystemTime::now());
        Some(program)
    }

    /// Keeps that it is `program` that was read from `source`, if that can be told the next time.
    /// A cache that cannot keep it serves as it is.
    pub fn remember(&self, source: &ProgramSource, program: ProgramId) {
        let (Some(place), ProgramSource::File(file)) = (&self.place, source) else {
            return;
        };
        let Some(state) = file.lasting_state().filter(|_| file.is_settled()) else {
            return;
        };
        let path = place.directory.join(recollection::name(&state));
        let _ = write(
            &place.directory,
            &path,
            &[&recollection::encode(&state, &program)],
        );
    }

    /// The artifact of `key`, if a sound one is there.
    pub(crate) fn load(&self, key: &Key) -> Result<Option<MachineCode>, CacheError> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let path = place.path(key);
        let failed = |error| CacheError::new(&path, error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Use counts as age. A directory that cannot be written still serves.
        let _ = file.set_modified(SystemTime::now());
        let artifact = read(file, key).map_err(failed)?;
        artifact
            .ok_or_else(|| CacheError::Damaged { path: path.clone() })
            .map(Some)
    }

    /// Keeps `artifact` under `key`, replacing what is there.
    pub(crate) fn store(&self, key: &Key, artifact: &[u8]) -> Result<(), CacheError> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        let path = place.path(key);
        let header = encode_header(key, artifact.len() as u64, crc32fast::hash(artifact));
        write(&place.directory, &path, &[&header, artifact])
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

/// What an artifact depends on: the program, the target, its calls, and how this version of
/// the project configures wasmtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Digest);

impl Key {
    pub(crate) fn new(program: &Digest, target: &CompileTarget, calls: Calls) -> Self {
        // No part of a target contains a line feed.
        let target = format!(
            "{}\n{}\n{:?}\n{}\n{calls:?}\n",
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

/// Program files about which something is kept.
const MOST_RECOLLECTIONS: usize = 1000;

/// Temporary files of this age are left over from a writer that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

impl Place {
    fn path(&self, key: &Key) -> PathBuf {
        let mut name = hex::encode(key.0);
        name.push('.');
        name.push_str(EXTENSION);
        self.directory.join(name)
    }

    /// Removes the least recently used artifacts beyond the capacity, and what is known of the
    /// least recently used programs. Other processes may do the same at the same time: a file that
    /// is gone is gone.
    fn evict(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut files = Vec::new();
        let mut recollections = Vec::new();
        let mut total = 0u64;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let (path, modified) = (entry.path(), metadata.modified()?);
            let has = |wanted| {
                path.extension()
                    .is_some_and(|extension| extension == wanted)
            };
            if has(recollection::EXTENSION) {
                recollections.push((modified, path));
            } else if has(EXTENSION) {
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
        recollections.sort();
        let surplus = recollections.len().saturating_sub(MOST_RECOLLECTIONS);
        for (_, path) in recollections.drain(..surplus) {
            let _ = fs::remove_file(path);
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

/// Artifacts up to this many bytes are held in memory; of larger ones as much at once while they
/// are checked.
const PIECE: usize = 256 << 10;

/// Checks an artifact; `None` when the file is damaged.
fn read(mut file: File, key: &Key) -> io::Result<Option<MachineCode>> {
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
    let mut piece = vec![0; usize::try_from(size).map_or(PIECE, |size| size.min(PIECE))];
    let mut checksum = crc32fast::Hasher::new();
    let mut left = size;
    while left > 0 {
        let count = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        file.read_exact(&mut piece[..count])?;
        checksum.update(&piece[..count]);
        left -= count as u64;
    }
    let is_sound = header == encode_header(key, size, checksum.finalize());
    Ok(is_sound.then(|| match piece.len() as u64 == size {
        true => piece.into(),
        false => MachineCode::in_file(file, HEADER_SIZE as u64, size),
    }))
}

/// Writes the file at `path`, all at once for whoever reads it.
fn write(directory: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    // Not synchronized: after a power failure the checksum tells.
    file.persist(path)?;
    Ok(())
}

fn encode_header(key: &Key, size: u64, checksum: u32) -> [u8; HEADER_SIZE] {
    let mut header = [0; HEADER_SIZE];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&checksum.to_le_bytes());
    header[16..24].copy_from_slice(&size.to_le_bytes());
    header[24..].copy_from_slice(&key.0);
    header
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn key(number: u8) -> Key {
        Key([number; 48])
    }

    fn cache(capacity: u64) -> (tempfile::TempDir, ArtifactCache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::open(&directory.path().join("a/b"), capacity).unwrap();
        (directory, cache)
    }

    fn loaded(cache: &ArtifactCache, number: u8) -> Option<Vec<u8>> {
        let code = cache.load(&key(number)).unwrap()?;
        let mut bytes = Vec::new();
        code.reader().read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    fn file(cache: &ArtifactCache, number: u8) -> PathBuf {
        cache.place.as_ref().unwrap().path(&key(number))
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_directory, cache) = cache(1000);
        assert!(loaded(&cache, 1).is_none());
        cache.store(&key(1), b"code").unwrap();
        assert_eq!(loaded(&cache, 1).unwrap(), b"code");
        assert!(loaded(&cache, 2).is_none());
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let (_directory, cache) = cache(u64::MAX);
        for size in [0, 300, PIECE, 2 * PIECE + 300] {
            every_kind_of_damage_is_found_in(&cache, &vec![7; size]);
        }
    }

    fn every_kind_of_damage_is_found_in(cache: &ArtifactCache, artifact: &[u8]) {
        cache.store(&key(1), artifact).unwrap();
        assert!(loaded(cache, 1).unwrap() == artifact);
        let path = file(cache, 1);
        let sound = fs::read(&path).unwrap();
        let damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            matches!(cache.load(&key(1)), Err(CacheError::Damaged { .. }))
        };
        let every = if artifact.len() < PIECE { 1 } else { 100_003 };
        for index in (0..HEADER_SIZE).chain((HEADER_SIZE..sound.len()).step_by(every)) {
            let mut flipped = sound.clone();
            flipped[index] ^= 0x10;
            assert!(damaged(&flipped), "byte {index}");
            assert!(damaged(&sound[..index]), "cut at {index}");
        }
        assert!(damaged(&[sound.as_slice(), b"more"].concat()));
        // An artifact under another one's name.
        cache.store(&key(2), artifact).unwrap();
        assert!(damaged(&fs::read(file(cache, 2)).unwrap()));
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

    /// A large program, in its file.
    fn program_file(directory: &Path) -> (PathBuf, ProgramSource) {
        let path = directory.join("program.wasm");
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.resize(1 << 20, 0);
        fs::write(&path, wasm).unwrap();
        let source = ProgramSource::open(&path).unwrap();
        (path, source)
    }

    const PROGRAM: ProgramId = ProgramId {
        kind: crate::ProgramKind::Module,
        digest: [7; 48],
    };

    /// Keeps what is known of `source`, as if it had been written long ago.
    fn remember_settled(cache: &ArtifactCache, source: &ProgramSource, program: ProgramId) {
        let ProgramSource::File(file) = source else {
            panic!("not in a file");
        };
        let directory = &cache.place.as_ref().unwrap().directory;
        let state = file.lasting_state().unwrap();
        let bytes = recollection::encode(&state, &program);
        write(
            directory,
            &directory.join(recollection::name(&state)),
            &[&bytes],
        )
        .unwrap();
    }

    #[test]
    fn programs_are_recalled_until_their_file_changes() {
        let (directory, cache) = cache(1000);
        let (path, source) = program_file(directory.path());
        assert_eq!(cache.recall(&source), None);
        // A change within the same step of the clock would not be seen.
        cache.remember(&source, PROGRAM);
        assert_eq!(cache.recall(&source), None);
        remember_settled(&cache, &source, PROGRAM);
        assert_eq!(cache.recall(&source), Some(PROGRAM));
        assert_eq!(ArtifactCache::disabled().recall(&source), None);
        let again = ProgramSource::open(&path).unwrap();
        assert_eq!(cache.recall(&again), Some(PROGRAM));

        // Other content of the same size and time, as far as a program can set it.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"other", 100).unwrap();
        file.set_modified(modified).unwrap();
        let changed = ProgramSource::open(&path).unwrap();
        assert_eq!(cache.recall(&changed), None);
    }

    #[test]
    fn what_is_known_of_programs_takes_little_room() {
        let (directory, cache) = cache(1000);
        let (_, source) = program_file(directory.path());
        remember_settled(&cache, &source, PROGRAM);
        let place = &cache.place.as_ref().unwrap().directory;
        let old = SystemTime::now() - Duration::from_secs(100);
        for number in 0..MOST_RECOLLECTIONS {
            let path = place.join(format!("{number}.{}", recollection::EXTENSION));
            File::create(path).unwrap().set_modified(old).unwrap();
        }
        cache.store(&key(1), b"code").unwrap();
        let count = fs::read_dir(place).unwrap().count();
        assert_eq!(count, MOST_RECOLLECTIONS + 1);
        assert_eq!(cache.recall(&source), Some(PROGRAM));
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
                        assert!(loaded(&cache, 1).unwrap() == artifact);
                    }
                });
            }
        });
    }
}
