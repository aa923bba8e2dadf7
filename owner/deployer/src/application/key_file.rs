//! The file that holds a package's key: one line, `enarx-package-key-1` and the key
//! in 64 hexadecimal digits, readable by its owner alone.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use enarx_wire_package::ContentKey;
use zeroize::Zeroizing;

/// Writes `key` to a new file with mode 0600. An existing file is left alone: it
/// may be the only key to another package.
///
/// # Errors
///
/// [`KeyFileError::File`].
pub fn write_key_file(path: &Path, key: &ContentKey) -> Result<(), KeyFileError> {
    let mut digits = Zeroizing::new([0; 64]);
    // The buffer has the size that the digits need.
    hex::encode_to_slice(key.expose(), &mut *digits).map_err(|_| KeyFileError::format(path))?;
    let line = Zeroizing::new([MARK, &*digits, b"\n"].concat());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| KeyFileError::file(path, error))?;
    file.write_all(&line)
        .and_then(|()| file.sync_all())
        .map_err(|error| KeyFileError::file(path, error))
}

/// Reads the key in the file `path`.
///
/// # Errors
///
/// [`KeyFileError`]; a file that others may read is refused.
pub fn read_key_file(path: &Path) -> Result<ContentKey, KeyFileError> {
    let failed = |error| KeyFileError::file(path, error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::NotPrivate {
            path: path.to_owned(),
        });
    }
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_SIZE));
    file.take(MAX_SIZE as u64)
        .read_to_end(&mut line)
        .map_err(failed)?;
    let digits = line
        .trim_ascii()
        .strip_prefix(MARK)
        .ok_or_else(|| KeyFileError::format(path))?;
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *key).map_err(|_| KeyFileError::format(path))?;
    Ok(ContentKey::new(*key))
}

/// Why a key file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("{}: {error}", .path.display())]
    File {
        /// The key file.
        path: PathBuf,
        /// Why it was refused.
        error: io::Error,
    },
    /// Others than the owner may read or write it.
    #[error("{}: others may read this key file; make it yours alone: chmod 600 {}", .path.display(), .path.display())]
    NotPrivate {
        /// The key file.
        path: PathBuf,
    },
    /// Not a key file.
    #[error("{}: this is not a package's key file", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
}

impl KeyFileError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    fn format(path: &Path) -> Self {
        Self::Format {
            path: path.to_owned(),
        }
    }
}

const MARK: &[u8] = b"enarx-package-key-1 ";

/// More than a key file has, so that a longer file is seen not to be one.
const MAX_SIZE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn keys_are_read_back_and_private() {
        let directory = directory();
        let path = directory.path().join("key");
        let key = ContentKey::new([0xa5; 32]);
        write_key_file(&path, &key).unwrap();
        assert_eq!(read_key_file(&path).unwrap(), key);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = write_key_file(&path, &ContentKey::new([1; 32]));
        assert!(matches!(again, Err(KeyFileError::File { .. })));
        assert_eq!(read_key_file(&path).unwrap(), key);
    }

    #[test]
    fn files_that_others_may_read_are_refused() {
        let directory = directory();
        let path = directory.path().join("key");
        write_key_file(&path, &ContentKey::new([1; 32])).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_key_file(&path).unwrap_err();
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
    }

    #[test]
    fn other_files_are_no_key_files() {
        let directory = directory();
        let digits = "a5".repeat(32);
        for text in [
            String::new(),
            digits.clone(),
            format!("enarx-package-key-2 {digits}\n"),
            format!("enarx-package-key-1 {digits}00\n"),
            format!("enarx-package-key-1 {}zz\n", &digits[2..]),
            format!("enarx-package-key-1 {digits}\n{}", "x".repeat(MAX_SIZE)),
        ] {
            let path = directory.path().join("other");
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let refused = read_key_file(&path);
            assert!(
                matches!(refused, Err(KeyFileError::Format { .. })),
                "{text}"
            );
        }
    }
}
