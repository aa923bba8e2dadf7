//! The SIGSTRUCTs of a host's own launches.
//!
//! ```text
//! <directory>/launch-key.pem         mode 0600, made when first needed
//! <directory>/<MRENCLAVE>.sigstruct  one for each enclave that was launched
//! ```
//!
//! One that an author of Keep images has signed (`enarx key sign`) can be put there instead of
//! the host's own.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use enarx_wire_launch::sgx::{EnclaveStatement, MrEnclave, SigningDate, Sigstruct};

use super::{SigningError, SigningKey};
use crate::key_file::KeyFileError;

/// SIGSTRUCTs below a directory, and the key that signs new ones.
#[derive(Debug)]
pub(super) struct SigstructStore {
    directory: Option<PathBuf>,
    /// Read or made when it is first needed.
    key: Mutex<Option<SigningKey>>,
}

const KEY: &str = "launch-key.pem";

impl SigstructStore {
    /// A store that, without a directory, keeps nothing and signs with a key that nobody
    /// else ever has.
    pub(super) fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
            key: Mutex::default(),
        }
    }

    /// A SIGSTRUCT for a Keep's enclave.
    pub(super) fn of_keep(
        &self,
        measurement: MrEnclave,
        debug: bool,
    ) -> Result<Sigstruct, SigningError> {
        let statement = EnclaveStatement::of_keep(measurement, debug, today());
        let Some(directory) = &self.directory else {
            return self.sign(&statement);
        };
        let path = directory.join(sigstruct_file_name(&measurement, debug));
        if let Some(stored) = load(&path, &statement) {
            return Ok(stored);
        }
        let sigstruct = self.sign(&statement)?;
        if let Err(error) = store(&path, &sigstruct) {
            // Signing again costs milliseconds.
            tracing::warn!(path = %path.display(), %error, "could not keep a SIGSTRUCT");
        }
        Ok(sigstruct)
    }

    fn sign(&self, statement: &EnclaveStatement) -> Result<Sigstruct, SigningError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*key {
            return key.sign(statement);
        }
        let loaded = match &self.directory {
            Some(directory) => load_or_make_key(directory)?,
            None => SigningKey::generate()?,
        };
        key.insert(loaded).sign(statement)
    }
}

/// The name of the file with the SIGSTRUCT of an enclave, below the directory that
/// [`SgxBackend`](super::SgxBackend) was given.
#[must_use]
pub fn sigstruct_file_name(measurement: &MrEnclave, debug: bool) -> String {
    let kind = if debug { "-debug" } else { "" };
    format!("{}{kind}.sigstruct", hex::encode(measurement))
}

/// The day that it is.
#[must_use]
pub fn today() -> SigningDate {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|time| SigningDate::of_unix_time(time.as_secs()).ok())
        .unwrap_or(SigningDate::EPOCH)
}

/// A stored SIGSTRUCT, if there is one that says of the enclave what `statement` does. What a
/// signer calls it, and when it was signed, is the signer's affair.
fn load(path: &Path, statement: &EnclaveStatement) -> Option<Sigstruct> {
    let sigstruct = Sigstruct::decode(&fs::read(path).ok()?).ok()?;
    let said = sigstruct.statement().ok()?;
    let expected = EnclaveStatement {
        date: said.date,
        product: said.product,
        security_version: said.security_version,
        extended_product: said.extended_product,
        family: said.family,
        ..*statement
    };
    (said == expected).then_some(sigstruct)
}

/// Writes a file that appears complete or not at all.
fn store(path: &Path, sigstruct: &Sigstruct) -> io::Result<()> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&temporary, sigstruct.as_bytes())?;
    fs::rename(&temporary, path)
}

fn load_or_make_key(directory: &Path) -> Result<SigningKey, SigningError> {
    let path = directory.join(KEY);
    if path.exists() {
        return SigningKey::read(&path);
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| KeyFileError::Write {
            path: directory.to_owned(),
            source,
        })?;
    let key = SigningKey::generate()?;
    match key.write_new(&path) {
        // Another process may have been quicker.
        Err(SigningError::File(KeyFileError::Write { source, .. }))
            if source.kind() == io::ErrorKind::AlreadyExists =>
        {
            SigningKey::read(&path)
        }
        written => written.map(|()| key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_kept_by_what_they_say() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("sgx");
        let files = || {
            let entries = fs::read_dir(&below).unwrap();
            entries
                .map(|entry| entry.unwrap().path())
                .collect::<Vec<_>>()
        };
        let first = SigstructStore::new(Some(&below));
        let signed = first.of_keep([1; 32], false).unwrap();
        assert_eq!(signed.statement().unwrap().measurement, [1; 32]);
        assert_eq!(first.of_keep([1; 32], false).unwrap(), signed);
        assert_eq!(files().len(), 2);

        // With the same key, another process has the same identity.
        let second = SigstructStore::new(Some(&below));
        let other = second.of_keep([1; 32], true).unwrap();
        assert_ne!(other, signed);
        assert_eq!(other.mr_signer(), signed.mr_signer());
        assert_eq!(files().len(), 3);

        // What says something else is not used, whatever its name.
        let path = below.join(sigstruct_file_name(&[1; 32], false));
        fs::write(&path, other.as_bytes()).unwrap();
        assert_eq!(second.of_keep([1; 32], false).unwrap(), signed);
        assert_eq!(fs::read(&path).unwrap(), signed.as_bytes());

        // One that somebody else signed is.
        let author = SigningKey::generate().unwrap();
        let theirs = author
            .sign(&EnclaveStatement {
                date: SigningDate::EPOCH,
                product: 7,
                ..signed.statement().unwrap()
            })
            .unwrap();
        fs::write(&path, theirs.as_bytes()).unwrap();
        assert_eq!(second.of_keep([1; 32], false).unwrap(), theirs);
    }
}
