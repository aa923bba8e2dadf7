//! `Enarx.toml`: how a folder's program is run.

mod files;
mod network;
mod schema;
mod tls;
mod values;

use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use enarx_wire_package::{Descriptor, HttpServer, Limits, NetworkRules};
use serde::Deserialize;
use toml::Spanned;

use files::FileTable;
use network::{HttpTable, NetworkTable};
use tls::TlsTable;
use values::SecretTable;

pub use tls::TlsConfiguration;
pub use values::SecretSource;

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
/// kind = "stdin"                 # null, stdin, stdout, stderr, listen or connect
/// name = "stdin"                 # its name in FD_NAMES; by default the kind or the host
/// [[files]]
/// kind = "listen"
/// name = "web"                   # a listener's is not optional
/// addr = "::"                    # by default all addresses
/// port = 443
/// prot = "tls"                   # or "tcp": then the host reads and alters everything
/// [[files]]
/// kind = "connect"
/// host = "db.example"
/// port = 5432
///
/// # Additions, in tables of their own:
/// [application]
/// name = "hello"                 # the folder's name by default
/// module = "hello.wasm"          # main.wasm, main.wat, or the only program there is
/// [[mounts]]                     # files that the program can read
/// source = "data"                # a file or directory of this folder
/// target = "/data"               # where the program sees it
/// [tls]
/// certificate = "server.pem"     # by default the Keep issues one to itself
/// key = "server.key"
/// authorities = "roots.pem"      # whom connections trust; by default as this machine
/// client_authorities = "ca.pem"  # whose certificates clients must have
/// [network]                      # what a component may do with sockets and requests
/// connect = ["https://api.example", "tcp://db.example:5432", "udp://192.0.2.1:53"]
/// listen = ["tcp://127.0.0.1:*"]
/// [http]                         # where requests come to a component that handles them
/// addr = "::"
/// port = 443
/// prot = "tls"
/// requests = 32                  # at a time
/// timeout = "60s"                # of one, to the end of its answer
/// [wasi]
/// preview3 = true                # a component may use WASI 0.3, which is experimental
/// [config]                       # what wasi:config tells a component
/// currency = "EUR"
/// [secrets]                      # the same, from a file or a variable of the owner's
/// token = { file = "secrets/token" }
/// password = { env = "DB_PASSWORD" }
/// [limits]
/// memory = "256MiB"              # of all linear memories together
/// timeout = "30s"                # from start to end
/// cpu = "10s"                    # processor time
/// table_elements = 100000        # of all tables together
/// instances = 100                # of core modules
/// output = "1MiB"                # standard output and error, a second
/// ```
///
/// Every key is optional; an unknown one is an error. A `[[files]]` list means what
/// it means in Enarx: it is complete, and a standard descriptor that it leaves out
/// is like `null`. Without a list the program has standard input, output and error,
/// whether or not there is a file; Enarx gives them only when there is no file.
///
/// `steward` is known, and refused: there is none in this version.
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
    /// What is needed for TLS.
    pub tls: Option<TlsConfiguration>,
    /// Data files; sources are relative to the folder and not yet resolved.
    pub mounts: Vec<Mount>,
    /// What a component may do on the network.
    pub network: Option<NetworkRules>,
    /// How requests reach a component that handles them.
    pub http: Option<HttpServer>,
    /// Whether a component may use WASI 0.3.
    pub preview3: bool,
    /// What `wasi:config` tells a component.
    pub config: BTreeMap<String, String>,
    /// What it tells besides; values are not yet read.
    pub secrets: BTreeMap<String, SecretSource>,
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
            .field("tls", &self.tls)
            .field("mounts", &self.mounts)
            .field("network", &self.network)
            .field("http", &self.http)
            .field("preview3", &self.preview3)
            .field("config", &self.config.keys())
            .field("secrets", &self.secrets.keys())
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
    tls: Option<TlsTable>,
    #[serde(default)]
    application: ApplicationTable,
    #[serde(default)]
    mounts: Vec<MountTable>,
    network: Option<NetworkTable>,
    http: Option<HttpTable>,
    #[serde(default)]
    wasi: WasiTable,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    secrets: BTreeMap<String, Spanned<SecretTable>>,
    #[serde(default)]
    limits: LimitsTable,
}

impl Document {
    fn check(self) -> Result<Configuration, Problem> {
        if let Some(steward) = &self.steward {
            let message = "there is no Steward in this version; leave the key out";
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
                .map(|files| files.into_iter().map(FileTable::check).collect())
                .transpose()?,
            tls: self.tls.map(TlsTable::check).transpose()?,
            mounts: self
                .mounts
                .into_iter()
                .map(MountTable::check)
                .collect::<Result<_, _>>()?,
            network: self.network.map(NetworkTable::check).transpose()?,
            http: self.http.map(HttpTable::check).transpose()?,
            preview3: self.wasi.preview3,
            secrets: values::secrets(self.secrets, &self.config)?,
            config: self.config,
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WasiTable {
    #[serde(default)]
    preview3: bool,
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
    cpu: Option<Spanned<String>>,
    table_elements: Option<u64>,
    instances: Option<u32>,
    output: Option<Spanned<Bytes>>,
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
        Ok(Limits {
            memory_bytes: self.memory.map(bytes).transpose()?,
            wall_milliseconds: self.timeout.map(milliseconds).transpose()?,
            processor_milliseconds: self.cpu.map(milliseconds).transpose()?,
            table_elements: self.table_elements,
            instances: self.instances,
            output_bytes: self.output.map(bytes).transpose()?,
        })
    }
}

fn bytes(size: Spanned<Bytes>) -> Result<u64, Problem> {
    let bytes = match size.get_ref() {
        Bytes::Number(bytes) => parse_bytes(&bytes.to_string()),
        Bytes::Text(text) => parse_bytes(text),
    };
    bytes.map_err(|error| Problem::new(&size, error.to_string()))
}

fn milliseconds(time: Spanned<String>) -> Result<u64, Problem> {
    let duration =
        parse_duration(time.get_ref()).map_err(|error| Problem::new(&time, error.to_string()))?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
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
