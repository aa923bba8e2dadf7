//! The files that hold a package's key or an owner's secret: one line, what it is and the
//! key or secret in 64 hexadecimal digits, readable by its owner alone.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use enarx_wire_package::ContentKey;
use enarx_wire_provision::OwnerSecret;
use zeroize::Zeroizing;

/// Writes the `key` of a package to a new file with mode 0600. An existing file is left
/// alone: it may be the only key to another package.
///
/// # Errors
///
/// [`KeyFileError::File`].
pub fn write_key_file(path: &Path, key: &ContentKey) -> Result<(), KeyFileError> {
    write(path, PACKAGE_KEY, key.expose())
}

/// Reads the key of a package in the file `path`.
///
/// # Errors
///
/// [`KeyFileError`]; a file that others may read is refused.
pub fn read_key_file(path: &Path) -> Result<ContentKey, KeyFileError> {
    read(path, PACKAGE_KEY).map(|key| ContentKey::new(*key))
}

/// Writes an owner's `secret` as [`write_key_file`] writes a key.
///
/// # Errors
///
/// [`KeyFileError::File`].
pub fn write_secret_file(path: &Path, secret: &OwnerSecret) -> Result<(), KeyFileError> {
    write(path, OWNER_SECRET, secret.expose())
}

/// Reads an owner's secret in the file `path`.
///
/// # Errors
///
/// [`KeyFileError`]; a file that others may read is refused.
pub fn read_secret_file(path: &Path) -> Result<OwnerSecret, KeyFileError> {
    read(path, OWNER_SECRET).map(|secret| OwnerSecret::new(*secret))
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
    /// Not the file that is wanted.
    #[error("{}: this is not {wanted}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
}

impl KeyFileError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    fn format(path: &Path, kind: Kind) -> Self {
        Self::Format {
            path: path.to_owned(),
            wanted: kind.name,
        }
    }
}

/// What a file holds.
#[derive(Clone, Copy)]
struct Kind {
    /// How its line begins.
    mark: &'static [u8],
    /// For people.
    name: &'static str,
}

const PACKAGE_KEY: Kind = Kind {
    mark: b"enarx-package-key-1 ",
    name: "a package's key file",
};

const OWNER_SECRET: Kind = Kind {
    mark: b"enarx-secret-1 ",
    name: "a file with a secret for programs' keys",
};

/// More than a key file has, so that a longer file is seen not to be one.
const MAX_SIZE: usize = 256;

fn write(path: &Path, kind: Kind, secret: &[u8; 32]) -> Result<(), KeyFileError> {
    let mut digits = Zeroizing::new([0; 64]);
    // The buffer has the size that the digits need.
    hex::encode_to_slice(secret, &mut *digits).map_err(|_| KeyFileError::format(path, kind))?;
    let line = Zeroizing::new([kind.mark, &*digits, b"\n"].concat());
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

fn read(path: &Path, kind: Kind) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
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
        .strip_prefix(kind.mark)
        .ok_or_else(|| KeyFileError::format(path, kind))?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *secret).map_err(|_| KeyFileError::format(path, kind))?;
    Ok(secret)
}

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
    fn a_key_is_no_secret_and_the_reverse() {
        let directory = directory();
        let [key, secret] = ["key", "secret"].map(|name| directory.path().join(name));
        write_key_file(&key, &ContentKey::new([1; 32])).unwrap();
        write_secret_file(&secret, &OwnerSecret::new([2; 32])).unwrap();
        assert_eq!(read_secret_file(&secret).unwrap().expose(), &[2; 32]);
        let mode = std::fs::metadata(&secret).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for refused in [read_secret_file(&key).err(), read_key_file(&secret).err()] {
            assert!(matches!(refused, Some(KeyFileError::Format { .. })));
        }
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
