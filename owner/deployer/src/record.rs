//! What the owner keeps of a session, so that a later process can take it up.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use enarx_wire_host_api::{HexBytes, KeepId};
use enarx_wire_provision::SessionSecret;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Session;

/// One session in the owner's store.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    version: u32,
    /// The host's URL.
    pub host: String,
    /// The host's name for the Keep.
    pub keep: KeepId,
    /// The application's name.
    pub name: String,
    /// When it was deployed, seconds since the Unix epoch.
    pub deployed: u64,
    /// The evidence was simulated: nothing protects this Keep.
    pub simulated: bool,
    /// The greatest epoch that an attachment has used.
    epoch: u64,
    #[serde(with = "secret_hex")]
    secret: SessionSecret,
}

impl SessionRecord {
    /// A record of a session that has just begun.
    #[must_use]
    pub fn new(
        session: &Session,
        host: String,
        name: String,
        deployed: u64,
        simulated: bool,
    ) -> Self {
        Self {
            version: VERSION,
            host,
            keep: session.keep(),
            name,
            deployed,
            simulated,
            epoch: 0,
            secret: session.secret().clone(),
        }
    }

    /// The session itself.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::new(self.keep, self.secret.clone())
    }
}

/// A directory of session records, readable by its owner alone.
#[derive(Debug, Clone)]
pub struct SessionStore {
    directory: PathBuf,
}

impl SessionStore {
    /// The store in `directory`, which is created with the first record.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Writes the record of a new session, durably and all at once. A host that gives
    /// a Keep the name of another one does not get to replace that one's record.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`] names the file, also when there is one already.
    pub fn save(&self, record: &SessionRecord) -> Result<(), RecordError> {
        let path = self.path(record.keep);
        self.write(record)
            .and_then(|file| file.persist_noclobber(&path).map_err(|error| error.error))
            .and_then(|_| self.sync())
            .map_err(|source| RecordError::Io { path, source })
    }

    /// The session with the Keep whose identifier begins with `prefix`.
    ///
    /// # Errors
    ///
    /// [`RecordError`] when there is none, more than one, or it cannot be read.
    pub fn find(&self, prefix: &str) -> Result<SessionRecord, RecordError> {
        // Every identifier begins with nothing, which nobody means.
        if prefix.is_empty() {
            return Err(RecordError::Unnamed);
        }
        let mut matching = self
            .list()?
            .into_iter()
            .filter(|record| record.keep.to_string().starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some(record), None) => Ok(record),
            (None, _) => Err(RecordError::Unknown(prefix.to_owned())),
            _ => Err(RecordError::Ambiguous(prefix.to_owned())),
        }
    }

    /// All records, the newest first.
    ///
    /// # Errors
    ///
    /// [`RecordError`] names the file that cannot be read.
    pub fn list(&self) -> Result<Vec<SessionRecord>, RecordError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(RecordError::Io {
                    path: self.directory.clone(),
                    source,
                });
            }
        };
        let mut records = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .map(|path| read(&path))
            .collect::<Result<Vec<_>, _>>()?;
        records.sort_by_key(|record| (std::cmp::Reverse(record.deployed), record.keep));
        Ok(records)
    }

    /// An epoch that no attachment to this Keep has used. It is on disk as used
    /// before this returns.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::find`].
    pub fn next_epoch(&self, keep: KeepId) -> Result<u64, RecordError> {
        let lock_path = self.directory.join(format!("{keep}.lock"));
        let io = |source| RecordError::Io {
            path: lock_path.clone(),
            source,
        };
        let lock = private_file(&lock_path).map_err(io)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| io(error.into()))?;
        let mut record = read(&self.path(keep))?;
        record.epoch += 1;
        let path = self.path(keep);
        self.write(&record)
            .and_then(|file| file.persist(&path).map_err(|error| error.error))
            .and_then(|_| self.sync())
            .map_err(|source| RecordError::Io { path, source })?;
        Ok(record.epoch)
    }

    /// Forgets a session. Its Keep's output can no longer be read by anybody.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`] names the file.
    pub fn remove(&self, keep: KeepId) -> Result<(), RecordError> {
        for path in [self.path(keep), self.directory.join(format!("{keep}.lock"))] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(RecordError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, keep: KeepId) -> PathBuf {
        self.directory.join(format!("{keep}.json"))
    }

    /// A temporary file with the record, on disk.
    fn write(&self, record: &SessionRecord) -> std::io::Result<tempfile::NamedTempFile> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let encoded = Zeroizing::new(serde_json::to_vec_pretty(record)?);
        // Created with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(&encoded)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// Why a session cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No identifier at all.
    #[error("the identifier of a Keep is empty")]
    Unnamed,
    /// No record of such a Keep.
    #[error("no session with a Keep {0:?} is known here")]
    Unknown(String),
    /// Several records of such Keeps.
    #[error("more than one Keep's identifier begins with {0:?}")]
    Ambiguous(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not a session record.
    #[error("{}: not a session record: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

const VERSION: u32 = 1;

/// Bytes that a record may have.
const MAX_SIZE: u64 = 64 << 10;

fn read(path: &Path) -> Result<SessionRecord, RecordError> {
    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    let malformed = |reason| RecordError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .map_err(io)?
        .take(MAX_SIZE)
        .read_to_string(&mut text)
        .map_err(io)?;
    let record: SessionRecord =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if record.version == VERSION {
        Ok(record)
    } else {
        Err(malformed(format!("version {}", record.version)))
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// The session's secret as hexadecimal digits.
mod secret_hex {
    use super::{HexBytes, SessionSecret, Zeroizing};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &SessionSecret,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Zeroizing::new(hex::encode(secret.expose())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SessionSecret, D::Error> {
        HexBytes::<32>::deserialize(deserializer).map(|bytes| SessionSecret::new(bytes.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u8) -> SessionRecord {
        let session = Session::new(KeepId::from_bytes([id; 16]), SessionSecret::new([7; 32]));
        SessionRecord::new(
            &session,
            "http://host".into(),
            "app".into(),
            id.into(),
            true,
        )
    }

    #[test]
    fn records_are_found_by_prefix_and_private() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let store = SessionStore::new(directory.path().join("sessions"));
        assert!(matches!(store.find("ab"), Err(RecordError::Unknown(_))));
        store.save(&record(0xab)).unwrap();
        store.save(&record(0xac)).unwrap();
        assert_eq!(store.find("ab").unwrap().keep, record(0xab).keep);
        assert!(matches!(store.find("a"), Err(RecordError::Ambiguous(_))));
        assert!(matches!(store.find(""), Err(RecordError::Unnamed)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.directory), 0o700);
        assert_eq!(mode(&store.path(record(0xab).keep)), 0o600);
        store.remove(record(0xab).keep).unwrap();
        assert!(matches!(store.find("ab"), Err(RecordError::Unknown(_))));
    }

    #[test]
    fn a_record_is_not_replaced_by_another_keeps() {
        let directory = tempfile::tempdir().unwrap();
        let store = SessionStore::new(directory.path().to_owned());
        store.save(&record(1)).unwrap();
        let session = Session::new(record(1).keep, SessionSecret::new([8; 32]));
        let other = SessionRecord::new(&session, "http://evil".into(), "app".into(), 9, true);
        assert!(matches!(store.save(&other), Err(RecordError::Io { .. })));
        assert_eq!(store.list().unwrap()[0].host, "http://host");
    }

    #[test]
    fn an_epoch_is_never_given_twice() {
        let directory = tempfile::tempdir().unwrap();
        let store = SessionStore::new(directory.path().to_owned());
        store.save(&record(1)).unwrap();
        let mut epochs: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..8)
                            .map(|_| store.next_epoch(record(1).keep).unwrap())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        epochs.sort_unstable();
        assert_eq!(epochs, (1..=32).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_record_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = SessionStore::new(directory.path().to_owned());
        fs::write(directory.path().join("bad.json"), "{\"version\": 1}").unwrap();
        let error = store.list().err().unwrap().to_string();
        assert!(error.contains("bad.json"), "{error}");
    }
}
