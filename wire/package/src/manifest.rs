//! The manifest: what a package holds and how it is run.

use std::{collections::BTreeSet, fmt};

use enarx_wire_cbor::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};

use crate::{Digest, Endpoint, HttpServer, NetworkRules, Protocol, TlsSettings, Transport, digest};

/// What a package holds and how it is run. Encoded as deterministic CBOR.
///
/// Only its owner and its Keep may read it: `Debug` shows no arguments, variables or
/// paths.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this structure, [`Manifest::VERSION`].
    pub version: u32,
    /// The application's name, for people.
    pub name: String,
    /// The WebAssembly program, by digest.
    pub workload: Workload,
    /// Arguments, the program's own name first.
    pub args: Vec<String>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// What the program finds at its first descriptors; 0 is its standard input.
    pub descriptors: Vec<Descriptor>,
    /// How TLS is spoken, where it differs from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// What a component may do on the network by itself. Only a component's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRules>,
    /// How requests reach a component that handles them. Only a component's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpServer>,
    /// Whether a component may use WASI 0.3. Only a component's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preview3: bool,
    /// What `wasi:config` has, by key; secrets are among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<(String, String)>,
    /// What ends the program early.
    pub limits: Limits,
    /// Digest of the compile target (`wire/target`) of the artifact, if the package
    /// holds one.
    #[serde(with = "serde_bytes")]
    pub target: Option<Digest>,
    /// The entries, in the order of their bytes in the stream. The first is the
    /// program.
    pub entries: Vec<Entry>,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Manifest")
            .field("version", &self.version)
            .field("args", &self.args.len())
            .field("env", &self.env.len())
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// The version that this crate writes and reads.
    pub const VERSION: u32 = 1;

    /// Bytes that an encoded manifest may have.
    pub const MAX_SIZE: usize = 4 << 20;

    /// Entries that a package may have.
    pub const MAX_ENTRIES: usize = 16_384;

    /// Descriptors that a program may begin with.
    pub const MAX_DESCRIPTORS: usize = 256;

    /// Bytes that an entry for TLS may have.
    pub const MAX_TLS_BYTES: u64 = 1 << 20;

    /// Encodes the manifest, after checking that it holds together.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] names what contradicts what.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = enarx_wire_cbor::to_vec(self)?;
        if bytes.len() > Self::MAX_SIZE {
            return Err(ManifestError::TooLong(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// Decodes a manifest and checks that it holds together.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] names the field, or what contradicts what.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = enarx_wire_cbor::from_slice(bytes, Self::MAX_SIZE)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The digest of the encoded manifest: the identity of what is run.
    ///
    /// # Errors
    ///
    /// As [`Manifest::encode`].
    pub fn digest(&self) -> Result<Digest, ManifestError> {
        Ok(digest(&self.encode()?))
    }

    /// Whether the program is to use the network.
    #[must_use]
    pub fn uses_network(&self) -> bool {
        (self.descriptors.iter()).any(|descriptor| descriptor.kind.is_socket())
            || self.http.is_some()
            || (self.network.as_ref()).is_some_and(NetworkRules::allow_something)
    }

    /// Whether the program listens, and whether it connects, with this protocol; what
    /// `wasi:sockets` does is none.
    #[must_use]
    pub fn uses_protocol(&self, protocol: Protocol) -> (bool, bool) {
        let has = |fits: fn(&DescriptorKind) -> Option<&Endpoint>| {
            let mut endpoints = (self.descriptors.iter()).filter_map(|one| fits(&one.kind));
            endpoints.any(|endpoint| endpoint.protocol == protocol)
        };
        let listens = has(|kind| match kind {
            DescriptorKind::Listen(endpoint) => Some(endpoint),
            _ => None,
        });
        let connects = has(|kind| match kind {
            DescriptorKind::Connect(endpoint) => Some(endpoint),
            _ => None,
        });
        let serves = (self.http.iter()).any(|http| http.endpoint.protocol == protocol);
        let transport = match protocol {
            Protocol::Tls => Transport::Https,
            Protocol::Tcp => Transport::Http,
        };
        let requests = (self.network.iter()).any(|rules| rules.mention(transport));
        (listens || serves, connects || requests)
    }

    /// Bytes of all entries together.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |total: u64, entry| total.saturating_add(entry.size))
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.version != Self::VERSION {
            return Err(ManifestError::Version(self.version));
        }
        if self.entries.len() > Self::MAX_ENTRIES {
            return Err(ManifestError::TooManyEntries(self.entries.len()));
        }
        let artifact = match self.entries.first().map(|entry| entry.kind) {
            Some(EntryKind::Artifact) => true,
            Some(EntryKind::Wasm) => false,
            Some(_) | None => return Err(ManifestError::NoProgram),
        };
        if artifact != self.target.is_some() {
            return Err(ManifestError::Target);
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(ManifestError::Environment(name.clone()));
            }
        }
        if let Some(argument) = self.args.iter().find(|argument| argument.contains('\0')) {
            return Err(ManifestError::Argument(argument.clone()));
        }
        for descriptor in &self.descriptors {
            if descriptor.name.contains([':', '\0']) {
                return Err(ManifestError::Descriptor(descriptor.name.clone()));
            }
            let fits = match &descriptor.kind {
                DescriptorKind::Listen(endpoint) => endpoint.can_listen(),
                DescriptorKind::Connect(endpoint) => endpoint.can_connect(),
                _ => true,
            };
            if !fits {
                return Err(ManifestError::Endpoint(descriptor.name.clone()));
            }
        }
        if self.workload.kind == WorkloadKind::Module
            && (self.network.is_some() || self.http.is_some() || self.preview3)
        {
            return Err(ManifestError::Module);
        }
        if let Some(rules) = &self.network {
            rules.check()?;
        }
        if let Some(http) = &self.http {
            http.check()?;
        }
        for pair in self.config.windows(2) {
            if pair[0].0 >= pair[1].0 {
                return Err(ManifestError::Config(pair[1].0.clone()));
            }
        }
        if self.descriptors.len() > Self::MAX_DESCRIPTORS {
            return Err(ManifestError::TooManyDescriptors(self.descriptors.len()));
        }
        let mut files = BTreeSet::new();
        let mut materials = BTreeSet::new();
        for entry in &self.entries[1..] {
            match entry.kind {
                EntryKind::File => {}
                EntryKind::Artifact | EntryKind::Wasm => {
                    return Err(ManifestError::SecondProgram(entry.path.clone()));
                }
                kind => {
                    if !materials.insert(kind) {
                        return Err(ManifestError::Duplicate(entry.path.clone()));
                    }
                    if entry.size > Self::MAX_TLS_BYTES {
                        return Err(ManifestError::TlsSize(entry.path.clone()));
                    }
                    continue;
                }
            }
            check_path(&entry.path)?;
            if !files.insert(entry.path.as_str()) {
                return Err(ManifestError::Duplicate(entry.path.clone()));
            }
        }
        if materials.contains(&EntryKind::TlsCertificates) != materials.contains(&EntryKind::TlsKey)
        {
            return Err(ManifestError::TlsIdentity);
        }
        if materials.contains(&EntryKind::TlsClientAuthorities)
            && !self.uses_protocol(Protocol::Tls).0
        {
            return Err(ManifestError::TlsClients);
        }
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        for path in &files {
            let mut parent = *path;
            while let Some((above, _)) = parent.rsplit_once('/') {
                if files.contains(above) {
                    return Err(ManifestError::FileAsDirectory(above.to_owned()));
                }
                parent = above;
            }
        }
        Ok(())
    }
}

/// What is not said needs no bytes: `serde` asks for a function of a reference.
const fn is_false(value: &bool) -> bool {
    !*value
}

/// The WebAssembly program of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Which of WebAssembly's two binary formats it is.
    pub kind: WorkloadKind,
    /// SHA-384 of the `.wasm`, whether or not the package holds it.
    #[serde(with = "serde_bytes")]
    pub digest: Digest,
}

/// WebAssembly's two binary formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// A core module that uses WASI preview 1.
    Module,
    /// A component that uses WASI preview 2.
    Component,
}

/// What one of the program's first descriptors is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// What stands behind it.
    pub kind: DescriptorKind,
    /// Its name in `FD_NAMES`, where `:` separates names.
    pub name: String,
}

/// What stands behind a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptorKind {
    /// Nothing: reads end, writes vanish.
    Null,
    /// The owner's standard input, from the session.
    Stdin,
    /// The owner's standard output, through the session.
    Stdout,
    /// The owner's standard error, through the session.
    Stderr,
    /// A TCP socket that listens. Only a module's.
    Listen(Endpoint),
    /// A TCP connection that the Keep has made. Only a module's.
    Connect(Endpoint),
}

impl DescriptorKind {
    /// Whether it is a socket, which needs the network.
    #[must_use]
    pub const fn is_socket(&self) -> bool {
        matches!(self, Self::Listen(_) | Self::Connect(_))
    }
}

/// What ends the program early. None means: no limit but the Keep's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes that all linear memories together may have.
    pub memory_bytes: Option<u64>,
    /// Time from start to end in milliseconds.
    pub wall_milliseconds: Option<u64>,
    /// Processor time in milliseconds, the Keep's own included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor_milliseconds: Option<u64>,
    /// Elements that all tables together may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_elements: Option<u64>,
    /// Instances of core modules that a program, or one request's part of it, may consist of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Bytes a second that standard output and standard error together may have; what was
    /// not used may be made up for within ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

/// One entry of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A file's absolute path as the program sees it; for the program, its name.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-384, if it was known when the manifest was written. The stream's own
    /// authentication covers the bytes in either case.
    #[serde(with = "serde_bytes")]
    pub digest: Option<Digest>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// The program, compiled for `Manifest::target`.
    Artifact,
    /// The program as WebAssembly.
    Wasm,
    /// A file for the program to read.
    File,
    /// The certificate chain of the Keep's own for TLS, in PEM.
    TlsCertificates,
    /// The private key to it, in PEM.
    TlsKey,
    /// The authorities that servers' certificates come from, in PEM.
    TlsAuthorities,
    /// The authorities that clients' certificates come from, in PEM.
    TlsClientAuthorities,
}

impl EntryKind {
    /// Whether it is for TLS, of which the program sees nothing.
    #[must_use]
    pub const fn is_for_tls(self) -> bool {
        match self {
            Self::Artifact | Self::Wasm | Self::File => false,
            Self::TlsCertificates
            | Self::TlsKey
            | Self::TlsAuthorities
            | Self::TlsClientAuthorities => true,
        }
    }
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the bytes of a manifest.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The manifest cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Another version.
    #[error("manifest version {0} is not supported; this is version {version}", version = Manifest::VERSION)]
    Version(u32),
    /// More bytes than a manifest may have.
    #[error("a manifest of {0} bytes is over the limit of {limit}", limit = Manifest::MAX_SIZE)]
    TooLong(u64),
    /// More entries than a package may have.
    #[error("{0} entries are over the limit of {limit}", limit = Manifest::MAX_ENTRIES)]
    TooManyEntries(usize),
    /// The first entry is not a program.
    #[error("the first entry of a package must be its program")]
    NoProgram,
    /// A second entry is a program.
    #[error("{0}: a package has one program")]
    SecondProgram(String),
    /// A compiled program without target or the reverse.
    #[error("a compiled program and its compile target go together")]
    Target,
    /// A variable name is empty or contains `=` or NUL, or its value NUL.
    #[error("environment variable {0:?} cannot be passed on")]
    Environment(String),
    /// An argument contains NUL.
    #[error("argument {0:?} cannot be passed on")]
    Argument(String),
    /// A descriptor's name contains `:`, which separates names in `FD_NAMES`, or NUL.
    #[error("descriptor name {0:?} cannot be passed on")]
    Descriptor(String),
    /// A descriptor listens where one cannot, or connects to what is no peer.
    #[error("descriptor {0:?} has an address that cannot be")]
    Endpoint(String),
    /// A module has no interface through which it could use these.
    #[error(
        "only components have a use for network rules, for the serving of HTTP and for WASI 0.3"
    )]
    Module,
    /// A network rule allows what cannot be.
    #[error("{0} is no rule for the network")]
    Rule(String),
    /// More rules than a list may have.
    #[error("{0} rules are over the limit of {limit}", limit = NetworkRules::MAX_RULES)]
    TooManyRules(usize),
    /// A server of HTTP that cannot be.
    #[error(
        "the HTTP server's address, number of requests (1 to {limit}) or time cannot be",
        limit = HttpServer::MAX_REQUESTS
    )]
    HttpServer,
    /// Keys of the configuration are not sorted, or one is there twice.
    #[error("configuration key {0:?} is out of order")]
    Config(String),
    /// More descriptors than a program may begin with.
    #[error("{0} descriptors are over the limit of {limit}", limit = Manifest::MAX_DESCRIPTORS)]
    TooManyDescriptors(usize),
    /// An entry for TLS is larger than such entries may be.
    #[error("{0}: has more than {limit} bytes", limit = Manifest::MAX_TLS_BYTES)]
    TlsSize(String),
    /// A certificate without its key, or the reverse.
    #[error("a TLS certificate and its key go together")]
    TlsIdentity,
    /// Clients are to have certificates, and nobody asks them for one.
    #[error(
        "there are authorities of clients, and nothing listens with TLS that could ask for certificates"
    )]
    TlsClients,
    /// A name that no certificate can have.
    #[error("{0:?} is neither a host's name nor an IP address")]
    TlsName(String),
    /// A path is not absolute and plain.
    #[error("{0:?} is not a plain absolute path (no empty, `.` or `..` parts, at most 4095 bytes)")]
    Path(String),
    /// Two entries have one path.
    #[error("{0}: the package has two files of this path")]
    Duplicate(String),
    /// One path is a file and a directory above another.
    #[error("{0}: is a file and also a directory above another file")]
    FileAsDirectory(String),
}

fn check_path(path: &str) -> Result<(), ManifestError> {
    let plain = path.len() < 4096
        && path.strip_prefix('/').is_some_and(|relative| {
            relative
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'))
        });
    if plain {
        Ok(())
    } else {
        Err(ManifestError::Path(path.to_owned()))
    }
}
