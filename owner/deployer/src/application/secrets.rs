//! The values of secrets, read when the application is loaded.

use std::{fs, io::Read as _, path::Path};

use super::{ApplicationError, configuration::SecretSource, mounts};

/// Bytes that a secret may have.
const MAX_BYTES: u64 = 64 << 10;

/// The value of the secret `key` of the application in `folder`.
pub(super) fn value(
    folder: &Path,
    key: &str,
    source: &SecretSource,
) -> Result<String, ApplicationError> {
    let failed = |problem| ApplicationError::Secret {
        key: key.to_owned(),
        problem,
    };
    match source {
        SecretSource::Environment(name) => match std::env::var(name) {
            Ok(value) => Ok(value),
            Err(std::env::VarError::NotPresent) => Err(failed(SecretProblem::NotSet(name.clone()))),
            Err(std::env::VarError::NotUnicode(_)) => Err(failed(SecretProblem::NotText)),
        },
        SecretSource::File(file) => {
            let path = mounts::inside(folder, file)?;
            let mut text = String::new();
            let read = fs::File::open(&path)
                .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
            match read {
                Ok(size) if size as u64 > MAX_BYTES => Err(failed(SecretProblem::TooLong)),
                // The end of the line is an editor's.
                Ok(_) => Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned)),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    Err(failed(SecretProblem::NotText))
                }
                Err(error) => Err(ApplicationError::file(&path, error)),
            }
        }
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// The variable is not there.
    #[error("the variable {0} is not set")]
    NotSet(String),
    /// `wasi:config` knows text alone.
    #[error("it is not UTF-8; mount it as a file instead")]
    NotText,
    /// It is longer than a secret may be.
    #[error("it has more than {MAX_BYTES} bytes; mount it as a file instead")]
    TooLong,
}
