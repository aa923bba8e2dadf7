//! Loading an application: what the owner names on the command line becomes one
//! [`Application`], whatever its shape.
//!
//! | what the path is | what is loaded |
//! |---|---|
//! | a `.wasm` or `.wat` file | that program, with the defaults below |
//! | a folder | its `Enarx.toml` (optional), program and data files |
//! | a package (`wire/package`) | what was sealed into it; its key file is needed |
//!
//! By default a program has its own file name as its only argument, an empty
//! environment, standard input, output and error, no data files, and no limits.
//! The format of `Enarx.toml` is described at [`Configuration`].
//!
//! Data files are named and measured here, never read, and neither is a large program: an
//! application of many gigabytes costs no memory. [`Application::open_data`] reads them in order.

mod configuration;
mod data;
mod error;
mod fitness;
mod key_file;
mod mounts;
mod package;
mod quantity;
mod secrets;
mod tls;

use std::{
    fmt,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA384};
use enarx_owner_compiler::ProgramSource;
use enarx_wire_package::{
    ContentKey, Descriptor, DescriptorKind, Digest, Entry, EntryKind, HttpServer, Limits, Manifest,
    NetworkRules, Protocol, TlsSettings, Transport, Workload, WorkloadKind,
};
use enarx_wire_provision::OwnerSecret;

pub use configuration::{
    Configuration, FILE_NAME as CONFIGURATION_FILE_NAME, SecretSource, TlsConfiguration,
};
pub use data::{DataFile, DataReader, DataSource};
pub use error::{ApplicationError, ConfigurationError};
pub use fitness::{Notice, Unfit};
pub use key_file::{
    KeyFileError, read_key_file, read_secret_file, write_key_file, write_secret_file,
};
pub use mounts::{MAX_DATA_BYTES, Mount, MountError};
pub use quantity::{QuantityError, parse_bytes, parse_duration};
pub use secrets::SecretProblem;
pub use tls::{TlsProblem, to_pem};

/// A program with everything that it is given. Nothing of it has been validated
/// beyond its shape: that is the compiler's part.
///
/// Its `Debug` output shows names, counts and sizes: the rest may be secret.
#[derive(Clone)]
pub struct Application {
    /// Its name, for people: 1 to [`MAX_NAME_BYTES`] of `a`-`z`, `A`-`Z`, `0`-`9`,
    /// `.`, `_`, `-`.
    pub name: String,
    /// The program in WebAssembly's binary or text format, or where it is.
    pub program: ProgramSource,
    /// Arguments, the program's own name first.
    pub args: Vec<String>,
    /// Environment, sorted by name.
    pub env: Vec<(String, String)>,
    /// What the program finds at its first descriptors; 0 is its standard input.
    pub descriptors: Vec<Descriptor>,
    /// How TLS is spoken, where it differs from the default.
    pub tls: Option<TlsSettings>,
    /// What a component may do on the network.
    pub network: Option<NetworkRules>,
    /// How requests reach a component that handles them.
    pub http: Option<HttpServer>,
    /// Whether a component may use WASI 0.3.
    pub preview3: bool,
    /// What `wasi:config` has, sorted by key; secrets are among it.
    pub config: Vec<(String, String)>,
    /// What ends the program early.
    pub limits: Limits,
    /// Its data files, and what it needs for TLS, in the order in which they are read.
    pub files: Vec<DataFile>,
    /// What the keys come from that the program has again in its next deployment, if
    /// anything: the secret that its owner named, or else the key of its package.
    pub secret: Option<OwnerSecret>,
}

/// The longest name of an application in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// What the command line adds to an application. Its `Debug` output is as that of an
/// [`Application`].
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// Arguments after those of the application itself.
    pub args: Vec<String>,
    /// Variables that are added, or replace the application's own of that name.
    pub env: Vec<(String, String)>,
    /// Data files and directories beside the application's own.
    pub mounts: Vec<Mount>,
    /// Limits; each that is set replaces the application's own.
    pub limits: Limits,
    /// The key of a package.
    pub key: Option<ContentKey>,
    /// What the program's keys come from, in place of the key of a package.
    pub secret: Option<OwnerSecret>,
}

impl Application {
    /// Loads the application at `path`.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] names the file, and in `Enarx.toml` the line and column.
    pub fn load(path: &Path, options: LoadOptions) -> Result<Self, ApplicationError> {
        let metadata =
            std::fs::metadata(path).map_err(|error| ApplicationError::file(path, error))?;
        let mut application = if metadata.is_file() && package::is_package(path)? {
            package::load(path, options.key.as_ref())?
        } else if options.key.is_some() {
            // Its owner believes that this is encrypted, and authentic.
            return Err(ApplicationError::KeyUnused {
                path: path.to_owned(),
            });
        } else if metadata.is_dir() {
            Self::load_folder(path)?
        } else {
            Self::load_program(path)?
        };
        application.extend(options)?;
        application.check()?;
        Ok(application)
    }

    /// The manifest of a package with this application: `program` becomes the first
    /// entry, the data files follow in the order of [`Application::open_data`].
    #[must_use]
    pub fn manifest(&self, workload: Workload, program: Entry, target: Option<Digest>) -> Manifest {
        let files = self.files.iter().map(|file| Entry {
            path: file.target.clone(),
            kind: file.kind,
            size: file.size,
            digest: file.digest,
        });
        Manifest {
            version: Manifest::VERSION,
            name: self.name.clone(),
            workload,
            args: self.args.clone(),
            env: self.env.clone(),
            descriptors: self.descriptors.clone(),
            tls: self.tls.clone(),
            network: self.network.clone(),
            http: self.http.clone(),
            preview3: self.preview3,
            config: self.config.clone(),
            limits: self.limits,
            target,
            entries: std::iter::once(program).chain(files).collect(),
        }
    }

    /// The bytes of the data files, one file after the other.
    #[must_use]
    pub fn open_data(&self) -> DataReader<'_> {
        DataReader::new(&self.files)
    }

    /// Reads the data files, and gives those a digest that have none: in a package at
    /// rest, whose key may be used again, the manifest alone says what the files are.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] when a file cannot be read.
    pub fn digest_data(&mut self) -> Result<(), ApplicationError> {
        let mut digests = Vec::with_capacity(self.files.len());
        let mut data = self.open_data();
        while let Some((file, bytes)) = data.next_file()? {
            let digest = digest_of(bytes)
                .map_err(|error| ApplicationError::file(Path::new(&file.target), error))?;
            digests.push(digest);
        }
        for (file, digest) in self.files.iter_mut().zip(digests) {
            file.digest.get_or_insert(digest);
        }
        Ok(())
    }

    /// Whether the program is to use the network.
    #[must_use]
    pub fn uses_network(&self) -> bool {
        (self.descriptors.iter()).any(|descriptor| descriptor.kind.is_socket())
            || self.http.is_some()
            || (self.network.as_ref()).is_some_and(NetworkRules::allow_something)
    }

    /// Bytes of all data files together.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn load_program(path: &Path) -> Result<Self, ApplicationError> {
        let program = open_program(path)?;
        let file_name = utf8_file_name(path)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy());
        Ok(Self {
            name: plain_name(&name.unwrap_or_default()),
            program,
            args: vec![file_name],
            env: Vec::new(),
            descriptors: standard_descriptors(),
            tls: None,
            network: None,
            http: None,
            preview3: false,
            config: Vec::new(),
            limits: Limits::default(),
            files: Vec::new(),
            secret: None,
        })
    }

    fn load_folder(folder: &Path) -> Result<Self, ApplicationError> {
        let configuration = Configuration::read(folder)?;
        let module = match &configuration.module {
            Some(module) => mounts::inside(folder, module)?,
            None => default_module(folder)?,
        };
        let mut args = vec![utf8_file_name(&module)?];
        args.extend(configuration.args);
        let descriptors = configuration
            .descriptors
            .unwrap_or_else(standard_descriptors);
        let connects = descriptors.iter().any(|descriptor| {
            matches!(&descriptor.kind, DescriptorKind::Connect(peer) if peer.protocol == Protocol::Tls)
        });
        let requests =
            (configuration.network.as_ref()).is_some_and(|rules| rules.mention(Transport::Https));
        let mut files = tls::materials(folder, configuration.tls.as_ref(), connects || requests)?;
        files.extend(mounts::collect_inside(folder, &configuration.mounts)?);
        let mut config = configuration.config;
        for (key, source) in &configuration.secrets {
            config.insert(key.clone(), secrets::value(folder, key, source)?);
        }
        Ok(Self {
            name: match configuration.name {
                Some(name) => name,
                None => plain_name(&folder_name(folder)),
            },
            program: open_program(&module)?,
            args,
            env: configuration.env.into_iter().collect(),
            descriptors,
            tls: configuration.tls.map(|tls| tls.settings),
            network: configuration.network,
            http: configuration.http,
            preview3: configuration.preview3,
            config: config.into_iter().collect(),
            limits: configuration.limits,
            files,
            secret: None,
        })
    }

    fn extend(&mut self, options: LoadOptions) -> Result<(), ApplicationError> {
        self.args.extend(options.args);
        for (name, value) in options.env {
            match self.env.iter_mut().find(|(existing, _)| *existing == name) {
                Some(variable) => variable.1 = value,
                None => self.env.push((name, value)),
            }
        }
        self.env.sort();
        self.files.extend(mounts::collect(&options.mounts)?);
        let own = self.limits;
        let given = options.limits;
        self.limits = Limits {
            memory_bytes: given.memory_bytes.or(own.memory_bytes),
            wall_milliseconds: given.wall_milliseconds.or(own.wall_milliseconds),
            processor_milliseconds: given.processor_milliseconds.or(own.processor_milliseconds),
            table_elements: given.table_elements.or(own.table_elements),
            instances: given.instances.or(own.instances),
            output_bytes: given.output_bytes.or(own.output_bytes),
        };
        self.secret = options.secret.or(self.secret.take());
        Ok(())
    }

    /// Checks what holds for all parts together, before anything is compiled.
    fn check(&self) -> Result<(), ApplicationError> {
        mounts::check(&self.files)?;
        let workload = Workload {
            // The program itself is looked at later; what is for components fits those.
            kind: match self.http.is_some() || self.network.is_some() || self.preview3 {
                true => WorkloadKind::Component,
                false => WorkloadKind::Module,
            },
            digest: [0; 48],
        };
        let program = Entry {
            path: self.name.clone(),
            kind: EntryKind::Wasm,
            size: self.program.size(),
            digest: None,
        };
        self.manifest(workload, program, None).encode()?;
        Ok(())
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Application")
            .field("name", &self.name)
            .field("program_bytes", &self.program.size())
            .field("args", &self.args.len())
            .field("env", &Names(&self.env))
            .field("descriptors", &self.descriptors)
            .field("tls", &self.tls)
            .field("network", &self.network)
            .field("http", &self.http)
            .field("preview3", &self.preview3)
            .field("config", &Names(&self.config))
            .field("limits", &self.limits)
            .field("files", &self.files)
            .field("secret", &self.secret)
            .finish()
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LoadOptions")
            .field("args", &self.args.len())
            .field("env", &Names(&self.env))
            .field("mounts", &self.mounts)
            .field("limits", &self.limits)
            .field("key", &self.key)
            .field("secret", &self.secret)
            .finish()
    }
}

/// The names of variables.
struct Names<'a>(&'a [(String, String)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

fn digest_of(mut source: impl Read) -> std::io::Result<Digest> {
    let mut context = Context::new(&SHA384);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    let mut digest = [0; 48];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}

/// What a program gets when nothing else is said.
fn standard_descriptors() -> Vec<Descriptor> {
    [
        (DescriptorKind::Stdin, "stdin"),
        (DescriptorKind::Stdout, "stdout"),
        (DescriptorKind::Stderr, "stderr"),
    ]
    .map(|(kind, name)| Descriptor {
        kind,
        name: name.to_owned(),
    })
    .into()
}

/// The program of a folder that does not name one.
fn default_module(folder: &Path) -> Result<PathBuf, ApplicationError> {
    let failed = |error| ApplicationError::file(folder, error);
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let program = path
            .extension()
            .is_some_and(|extension| extension == "wasm" || extension == "wat");
        if program && path.is_file() {
            programs.push(path);
        }
    }
    programs.sort();
    for preferred in ["main.wasm", "main.wat"] {
        if let Some(path) = programs.iter().find(|path| path.ends_with(preferred)) {
            return Ok(path.clone());
        }
    }
    match <[PathBuf; 1]>::try_from(programs) {
        Ok([path]) => Ok(path),
        Err(programs) if programs.is_empty() => Err(ApplicationError::NoProgram {
            folder: folder.to_owned(),
        }),
        Err(programs) => Err(ApplicationError::SeveralPrograms {
            folder: folder.to_owned(),
            names: programs
                .iter()
                .filter_map(|path| path.file_name())
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
        }),
    }
}

/// A program, of no more bytes than the compiler would take.
fn open_program(path: &Path) -> Result<ProgramSource, ApplicationError> {
    ProgramSource::open(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => ApplicationError::NotAFile {
            path: path.to_owned(),
        },
        ErrorKind::FileTooLarge => ApplicationError::ProgramTooLarge {
            path: path.to_owned(),
        },
        _ => ApplicationError::file(path, error),
    })
}

fn utf8_file_name(path: &Path) -> Result<String, ApplicationError> {
    path.file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| ApplicationError::NotUtf8 {
            path: path.to_owned(),
        })
}

/// The last part of a folder's name, also of `.` and `..`.
fn folder_name(folder: &Path) -> String {
    let resolved = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    resolved
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// `text` as a name: other characters than a name may have become hyphens.
fn plain_name(text: &str) -> String {
    let name: String = text
        .chars()
        .take(MAX_NAME_BYTES)
        .map(|character| {
            if is_name_character(character) {
                character
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() {
        "application".to_owned()
    } else {
        name
    }
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}

#[cfg(test)]
mod tests;
