//! From files and directories of the owner's machine to data files of the program.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use enarx_wire_package::{EntryKind, Manifest};

use super::{DataFile, DataSource};

/// Bytes that all data files of an application may have together. They live in the
/// Keep's memory.
pub const MAX_DATA_BYTES: u64 = 1 << 40;

/// A file or directory, and where the program finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file, or the directory with all that is below it.
    pub source: PathBuf,
    /// The absolute path that the program sees. For a file, a path that ends in `/`
    /// is the directory in which the file keeps its name.
    pub target: String,
}

impl Mount {
    /// Checks that `target` is a plain absolute path.
    ///
    /// # Errors
    ///
    /// [`MountError::Target`].
    pub fn new(source: impl Into<PathBuf>, target: &str) -> Result<Self, MountError> {
        let refused = || MountError::Target {
            target: target.to_owned(),
        };
        let relative = target.strip_prefix('/').ok_or_else(refused)?;
        let relative = relative.strip_suffix('/').unwrap_or(relative);
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if target != "/" && !relative.split('/').all(plain) {
            return Err(refused());
        }
        Ok(Self {
            source: source.into(),
            target: target.to_owned(),
        })
    }
}

/// The data files of `mounts`, wherever they are.
pub(super) fn collect(mounts: &[Mount]) -> Result<Vec<DataFile>, MountError> {
    let mut files = Vec::new();
    for mount in mounts {
        let source = canonical(&mount.source)?;
        // Links may not lead out of a directory that is taken as a whole.
        collect_one(&mount.source, &source, &mount.target, &mut files)?;
    }
    Ok(files)
}

/// The data files of `mounts`, whose sources are inside `folder`.
pub(super) fn collect_inside(folder: &Path, mounts: &[Mount]) -> Result<Vec<DataFile>, MountError> {
    let boundary = canonical(folder)?;
    let mut files = Vec::new();
    for mount in mounts {
        let source = inside(folder, &mount.source)?;
        collect_one(&source, &boundary, &mount.target, &mut files)?;
    }
    Ok(files)
}

/// `relative` in `folder`, if it is there and does not lead out of it.
pub(super) fn inside(folder: &Path, relative: &Path) -> Result<PathBuf, MountError> {
    let path = folder.join(relative);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if relative.as_os_str().is_empty() || !relative.components().all(plain) {
        return Err(MountError::Outside {
            path: relative.to_owned(),
            folder: folder.to_owned(),
        });
    }
    let boundary = canonical(folder)?;
    if !canonical(&path)?.starts_with(&boundary) {
        return Err(MountError::Outside {
            path,
            folder: boundary,
        });
    }
    Ok(path)
}

/// Checks number, size and targets of all data files together.
pub(super) fn check(files: &[DataFile]) -> Result<(), MountError> {
    // The program is an entry too.
    if let Some(file) = files.get(Manifest::MAX_ENTRIES - 1) {
        return Err(too_many(&file.target));
    }
    let mut total = 0u64;
    let mut targets = BTreeMap::new();
    for file in files {
        total = total.saturating_add(file.size);
        if total > MAX_DATA_BYTES {
            return Err(MountError::TooLarge {
                path: file.target.clone(),
                size: file.size,
            });
        }
        if let Some(other) = targets.insert(file.target.as_str(), file) {
            return Err(MountError::Duplicate {
                target: file.target.clone(),
                first: origin(other),
                second: origin(file),
            });
        }
    }
    Ok(())
}

/// Why a data file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The operating system refused.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why it was refused.
        error: io::Error,
    },
    /// The target is not a plain absolute path.
    #[error(
        "{target:?} is not a path that a program can see: write it absolute, without empty, \".\" or \"..\" parts"
    )]
    Target {
        /// The target.
        target: String,
    },
    /// The path leaves the folder, by `..`, by being absolute, or through a link.
    #[error("{}: leads out of {}; only what is inside can be taken", .path.display(), .folder.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// The folder that it must stay in.
        folder: PathBuf,
    },
    /// A directory that contains itself through a link.
    #[error("{}: this link leads in a circle", .path.display())]
    Circle {
        /// The directory.
        path: PathBuf,
    },
    /// A device, a socket or a pipe.
    #[error("{}: neither a file nor a directory", .path.display())]
    Special {
        /// What is there.
        path: PathBuf,
    },
    /// Programs see file names as text.
    #[error("{}: its name is not UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// Two files would be at one place.
    #[error("{target}: would be {first} and also {second}")]
    Duplicate {
        /// The place.
        target: String,
        /// Where the first file comes from.
        first: String,
        /// Where the second file comes from.
        second: String,
    },
    /// More files than a package holds.
    #[error("{path}: an application may have at most {limit} data files", limit = Manifest::MAX_ENTRIES - 1)]
    TooMany {
        /// The first file too many.
        path: String,
    },
    /// More bytes than an application may have.
    #[error(
        "{path}: with its {size} bytes the data files go over the limit of {MAX_DATA_BYTES} bytes together"
    )]
    TooLarge {
        /// The file that went over the limit.
        path: String,
        /// Its bytes.
        size: u64,
    },
}

fn collect_one(
    source: &Path,
    boundary: &Path,
    target: &str,
    files: &mut Vec<DataFile>,
) -> Result<(), MountError> {
    if metadata(source)?.is_dir() {
        let target = target.trim_end_matches('/');
        return walk(source, boundary, target, &mut Vec::new(), files);
    }
    let target = match target.strip_suffix('/') {
        Some(directory) => format!("{directory}/{}", name(source)?),
        None => target.to_owned(),
    };
    push(source, target, files)
}

/// Takes all that is below `directory`, which is itself below the directories `above`.
fn walk(
    directory: &Path,
    boundary: &Path,
    target: &str,
    above: &mut Vec<PathBuf>,
    files: &mut Vec<DataFile>,
) -> Result<(), MountError> {
    let resolved = canonical(directory)?;
    if above.contains(&resolved) {
        return Err(MountError::Circle {
            path: directory.to_owned(),
        });
    }
    above.push(resolved);
    let failed = |error| MountError::file(directory, error);
    let mut paths = fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    // The same directory always gives the same package.
    paths.sort();
    for path in paths {
        let target = format!("{target}/{}", name(&path)?);
        let linked = fs::symlink_metadata(&path)
            .map_err(|error| MountError::file(&path, error))?
            .is_symlink();
        if linked && !canonical(&path)?.starts_with(boundary) {
            return Err(MountError::Outside {
                path,
                folder: boundary.to_owned(),
            });
        }
        if metadata(&path)?.is_dir() {
            walk(&path, boundary, &target, above, files)?;
        } else {
            push(&path, target, files)?;
        }
    }
    above.pop();
    Ok(())
}

fn push(source: &Path, target: String, files: &mut Vec<DataFile>) -> Result<(), MountError> {
    let metadata = metadata(source)?;
    if !metadata.is_file() {
        return Err(MountError::Special {
            path: source.to_owned(),
        });
    }
    if files.len() >= Manifest::MAX_ENTRIES - 1 {
        return Err(too_many(&source.display().to_string()));
    }
    files.push(DataFile {
        kind: EntryKind::File,
        target,
        size: metadata.len(),
        digest: None,
        source: DataSource::Path(source.to_owned()),
    });
    Ok(())
}

impl MountError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

fn metadata(path: &Path) -> Result<fs::Metadata, MountError> {
    fs::metadata(path).map_err(|error| MountError::file(path, error))
}

fn canonical(path: &Path) -> Result<PathBuf, MountError> {
    path.canonicalize()
        .map_err(|error| MountError::file(path, error))
}

fn name(path: &Path) -> Result<&str, MountError> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| MountError::NotUtf8 {
            path: path.to_owned(),
        })
}

fn too_many(path: &str) -> MountError {
    MountError::TooMany {
        path: path.to_owned(),
    }
}

/// Where a data file comes from, for people.
fn origin(file: &DataFile) -> String {
    match &file.source {
        DataSource::Memory(_) => file.target.clone(),
        DataSource::Path(path) => path.display().to_string(),
        DataSource::Package { path, .. } => {
            format!("{} of the package {}", file.target, path.display())
        }
    }
}
