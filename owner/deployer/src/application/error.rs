//! Why an application could not be loaded.

use std::{
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use enarx_owner_compiler::DEFAULT_MAX_SIZE;
use enarx_wire_package::{ManifestError, PackageError};

use super::{MountError, SecretProblem, TlsProblem};

/// Why an application could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    /// The operating system refused.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why it was refused.
        error: io::Error,
    },
    /// The program is a directory, a device or the like.
    #[error("{}: not a file", .path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// Programs see file names as text.
    #[error("{}: its name is not UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A folder holds no program.
    #[error("{}: there is no .wasm or .wat file in this folder", .folder.display())]
    NoProgram {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder holds several programs, and none is said to be the one.
    #[error(
        "{}: which of {} is the program? Name it in Enarx.toml: [application] module = \"...\"",
        .folder.display(), .names.join(", ")
    )]
    SeveralPrograms {
        /// The folder.
        folder: PathBuf,
        /// Names of the candidates.
        names: Vec<String>,
    },
    /// The program is larger than the compiler takes.
    #[error("{}: a program may have at most {DEFAULT_MAX_SIZE} bytes", .path.display())]
    ProgramTooLarge {
        /// The program.
        path: PathBuf,
    },
    /// `Enarx.toml` is wrong.
    #[error(transparent)]
    Configuration(#[from] Box<ConfigurationError>),
    /// A file for TLS cannot be used.
    #[error("{}: {problem}", .path.display())]
    Tls {
        /// The file, relative to the application's folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: TlsProblem,
    },
    /// A secret cannot be had.
    #[error("secret {key:?}: {problem}")]
    Secret {
        /// Its key in `[secrets]`.
        key: String,
        /// What is wrong with it.
        problem: SecretProblem,
    },
    /// The program connects to servers, and nobody is said to be trusted.
    #[error(
        "the application connects to servers with TLS, and this machine trusts no authorities; name some in Enarx.toml: [tls] authorities = \"...\""
    )]
    NoAuthorities,
    /// A data file cannot be taken.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A package without its key.
    #[error("{}: this is a package; its key file is needed to open it", .path.display())]
    KeyNeeded {
        /// The package.
        path: PathBuf,
    },
    /// A key for what is no package.
    #[error("{}: this is not a package, and a key was given for it", .path.display())]
    KeyUnused {
        /// The program or folder.
        path: PathBuf,
    },
    /// A package cannot be read.
    #[error("{}: {error}", .path.display())]
    Package {
        /// The package.
        path: PathBuf,
        /// What is wrong with it.
        error: PackageError,
    },
    /// A package that was compiled for one Keep.
    #[error("{}: this package was compiled for one Keep and cannot run in another; build one with `enarx package build`", .path.display())]
    SealedForOneKeep {
        /// The package.
        path: PathBuf,
    },
    /// A package's program is not the one that its manifest names.
    #[error("{}: its program is not the one that its manifest names", .path.display())]
    OtherProgram {
        /// The package.
        path: PathBuf,
    },
    /// The parts contradict each other.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl ApplicationError {
    pub(super) fn tls(path: &Path, problem: TlsProblem) -> Self {
        Self::Tls {
            path: path.to_owned(),
            problem,
        }
    }

    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// What is wrong in an `Enarx.toml`, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// The text of the line.
    source_line: String,
    /// How many characters of it are meant.
    width: usize,
}

impl ConfigurationError {
    /// What is wrong with the bytes `span` of `text`, the contents of `path`.
    pub(super) fn new(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let start = text.floor_char_boundary(span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        let source_line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count() + 1;
        let end = text.floor_char_boundary(span.end.max(start));
        let meant = text[start..end].lines().next().unwrap_or_default();
        Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            message: message.into(),
            source_line: source_line.to_owned(),
            width: meant.chars().count().max(1),
        }
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, line, column) = (self.path.display(), self.line, self.column);
        let margin = line.to_string().len();
        writeln!(formatter, "{path}:{line}:{column}: {}", self.message)?;
        writeln!(formatter, "{:margin$} |", "")?;
        writeln!(formatter, "{line} | {}", self.source_line)?;
        write!(formatter, "{:margin$} | ", "")?;
        // Tabs keep their width, so that the mark stands under what it marks.
        for character in self.source_line.chars().take(column - 1) {
            write!(formatter, "{}", if character == '\t' { '\t' } else { ' ' })?;
        }
        write!(formatter, "{}", "^".repeat(self.width))
    }
}

impl std::error::Error for ConfigurationError {}
