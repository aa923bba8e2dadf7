//! `Enarx.toml`: how a folder's program is run.

use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use enarx_wire_package::{Descriptor, DescriptorKind, Limits};
use serde::Deserialize;
use toml::Spanned;

use super::{
    ApplicationError, ConfigurationError, MAX_NAME_BYTES, Mount, is_name_character, parse_bytes,
    parse_duration,
};

/// The name of the file in an application's folder.
pub const FILE_NAME: &str = "Enarx.toml";

/// What an `Enarx.toml` says.
///
/// ```toml
/// # As in Enarx:
/// args = ["--verbose"]           # arguments after the program's own name
/// [env]                          # the environment; nothing is inherited
/// GREETING = "hello"
/// [[files]]                      # descriptors 0, 1, 2, ... in this order
/// kind = "stdin"                 # null, stdin, stdout or stderr
/// name = "stdin"                 # its name in FD_NAMES; the kind by default
///
/// # Additions, in tables of their own:
/// [application]
/// name = "hello"                 # the folder's name by default
/// module = "hello.wasm"          # main.wasm, main.wat, or the only program there is
/// [[mounts]]                     # files that the program can read
/// source = "data"                # a file or directory of this folder
/// target = "/data"               # where the program sees it
/// [limits]
/// memory = "256MiB"              # of all linear memories together
/// timeout = "30s"                # from start to end
/// ```
///
/// Every key is optional; an unknown one is an error. A `[[files]]` list means what
/// it means in Enarx: it is complete, and a standard descriptor that it leaves out
/// is like `null`. Without a list the program has standard input, output and error,
/// whether or not there is a file; Enarx gives them only when there is no file.
///
/// This version gives a program the descriptors 0 (`stdin` or `null`), 1 and 2
/// (`stdout`, `stderr` or `null`) and no others. The kinds `listen` and `connect`, and `steward`, are known and refused: this
/// version has no networking.
///
/// Its `Debug` output shows neither arguments nor values of variables: they may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The application's name.
    pub name: Option<String>,
    /// The program, relative to the folder.
    pub module: Option<PathBuf>,
    /// Arguments after the program's own name.
    pub args: Vec<String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The first descriptors, if there is a list.
    pub descriptors: Option<Vec<Descriptor>>,
    /// Data files; sources are relative to the folder and not yet resolved.
    pub mounts: Vec<Mount>,
    /// What ends the program early.
    pub limits: Limits,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Configuration")
            .field("name", &self.name)
            .field("module", &self.module)
            .field("args", &self.args.len())
            .field("env", &self.env.keys())
            .field("descriptors", &self.descriptors)
            .field("mounts", &self.mounts)
            .field("limits", &self.limits)
            .finish()
    }
}

impl Configuration {
    /// Reads the `Enarx.toml` in `folder`; without one, the default.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::File`] or [`ApplicationError::Configuration`].
    pub fn read(folder: &Path) -> Result<Self, ApplicationError> {
        let path = folder.join(FILE_NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&path, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ApplicationError::file(&path, error)),
        }
    }

    /// Reads `text`, the contents of `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<ConfigurationError>> {
        let at = |Problem { span, message }| {
            Box::new(ConfigurationError::new(path, text, span, message))
        };
        let document: Document = toml::from_str(text).map_err(Problem::from).map_err(at)?;
        document.check().map_err(at)
    }
}

/// What is wrong at some bytes of the file.
struct Problem {
    span: Range<usize>,
    message: String,
}

impl Problem {
    fn new<T>(place: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            span: place.span(),
            message: message.into(),
        }
    }
}

impl From<toml::de::Error> for Problem {
    fn from(error: toml::de::Error) -> Self {
        // TOML has keys where serde has fields.
        let message = error.message().replacen("unknown field", "unknown key", 1);
        Self {
            span: error.span().unwrap_or(0..0),
            message: message.replacen("missing field", "missing key", 1),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    args: Vec<Spanned<String>>,
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
    files: Option<Vec<FileTable>>,
    steward: Option<Spanned<String>>,
    #[serde(default)]
    application: ApplicationTable,
    #[serde(default)]
    mounts: Vec<MountTable>,
    #[serde(default)]
    limits: LimitsTable,
}

impl Document {
    fn check(self) -> Result<Configuration, Problem> {
        if let Some(steward) = &self.steward {
            let message = "networking is not in this version: a Keep cannot reach a Steward yet";
            return Err(Problem::new(steward, message));
        }
        let mut env = BTreeMap::new();
        for (name, value) in self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("{name:?} cannot be the name of a variable");
                return Err(Problem::new(&value, message));
            }
            env.insert(name, without_nul(value)?);
        }
        Ok(Configuration {
            name: self.application.name.map(application_name).transpose()?,
            module: self.application.module.map(PathBuf::from),
            args: self
                .args
                .into_iter()
                .map(without_nul)
                .collect::<Result<_, _>>()?,
            env,
            descriptors: self
                .files
                .map(|files| {
                    let numbered = files.into_iter().enumerate();
                    numbered.map(|(number, file)| file.check(number)).collect()
                })
                .transpose()?,
            mounts: self
                .mounts
                .into_iter()
                .map(MountTable::check)
                .collect::<Result<_, _>>()?,
            limits: self.limits.check()?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ApplicationTable {
    name: Option<Spanned<String>>,
    module: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    kind: Spanned<String>,
    name: Option<Spanned<String>>,
    addr: Option<Spanned<String>>,
    host: Option<Spanned<String>>,
    port: Option<Spanned<u16>>,
    prot: Option<Spanned<String>>,
}

impl FileTable {
    /// Checks what is to be the descriptor `number`.
    fn check(self, number: usize) -> Result<Descriptor, Problem> {
        let kind = match self.kind.get_ref().as_str() {
            "null" => DescriptorKind::Null,
            "stdin" => DescriptorKind::Stdin,
            "stdout" => DescriptorKind::Stdout,
            "stderr" => DescriptorKind::Stderr,
            "listen" | "connect" => {
                let message = format!(
                    "networking is not in this version: kind {:?}",
                    self.kind.get_ref()
                );
                return Err(Problem::new(&self.kind, message));
            }
            other => {
                let message = format!(
                    "unknown kind {other:?}, expected \"null\", \"stdin\", \"stdout\" or \"stderr\""
                );
                return Err(Problem::new(&self.kind, message));
            }
        };
        let message = match (number, kind) {
            (0..=2, DescriptorKind::Null)
            | (0, DescriptorKind::Stdin)
            | (1 | 2, DescriptorKind::Stdout | DescriptorKind::Stderr) => None,
            (0, _) => Some("descriptor 0 is for input: \"stdin\" or \"null\""),
            (1 | 2, _) => {
                Some("descriptors 1 and 2 are for output: \"stdout\", \"stderr\" or \"null\"")
            }
            _ => Some("this version gives a program no more than the descriptors 0, 1 and 2"),
        };
        if let Some(message) = message {
            return Err(Problem::new(&self.kind, message));
        }
        let texts = [
            ("addr", &self.addr),
            ("host", &self.host),
            ("prot", &self.prot),
        ];
        let foreign = texts
            .into_iter()
            .find_map(|(key, value)| value.as_ref().map(|value| (key, value.span())))
            .or_else(|| self.port.as_ref().map(|value| ("port", value.span())));
        if let Some((key, span)) = foreign {
            let kind = self.kind.get_ref();
            return Err(Problem {
                span,
                message: format!("key `{key}` does not belong to kind {kind:?}"),
            });
        }
        let name = match self.name {
            None => self.kind.into_inner(),
            Some(name) if name.get_ref().contains([':', '\0']) => {
                return Err(Problem::new(&name, "a name in FD_NAMES cannot contain ':'"));
            }
            Some(name) => name.into_inner(),
        };
        Ok(Descriptor { kind, name })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MountTable {
    source: Spanned<String>,
    target: Spanned<String>,
}

impl MountTable {
    fn check(self) -> Result<Mount, Problem> {
        if Path::new(self.source.get_ref()).is_absolute() {
            let message = "a source in Enarx.toml is relative to its folder; \
                           `--mount SOURCE:TARGET` takes others";
            return Err(Problem::new(&self.source, message));
        }
        Mount::new(self.source.get_ref(), self.target.get_ref())
            .map_err(|error| Problem::new(&self.target, error.to_string()))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    memory: Option<Spanned<Bytes>>,
    timeout: Option<Spanned<String>>,
}

/// A size, as a number or as text with a unit.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of bytes or a text such as \"256MiB\""
)]
enum Bytes {
    Number(u64),
    Text(String),
}

impl LimitsTable {
    fn check(self) -> Result<Limits, Problem> {
        let memory = self.memory.map(|memory| {
            let bytes = match memory.get_ref() {
                Bytes::Number(bytes) => parse_bytes(&bytes.to_string()),
                Bytes::Text(text) => parse_bytes(text),
            };
            bytes.map_err(|error| Problem::new(&memory, error.to_string()))
        });
        let timeout = self.timeout.map(|timeout| {
            parse_duration(timeout.get_ref())
                .map_err(|error| Problem::new(&timeout, error.to_string()))
        });
        Ok(Limits {
            memory_bytes: memory.transpose()?,
            wall_milliseconds: timeout
                .transpose()?
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

fn application_name(name: Spanned<String>) -> Result<String, Problem> {
    let text = name.get_ref();
    if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.chars().all(is_name_character) {
        Ok(name.into_inner())
    } else {
        let message = format!(
            "a name has 1 to {MAX_NAME_BYTES} letters, digits, dots, underscores or hyphens"
        );
        Err(Problem::new(&name, message))
    }
}

fn without_nul(text: Spanned<String>) -> Result<String, Problem> {
    if text.get_ref().contains('\0') {
        Err(Problem::new(
            &text,
            "a program cannot be given a NUL character",
        ))
    } else {
        Ok(text.into_inner())
    }
}

#[cfg(test)]
mod tests;
