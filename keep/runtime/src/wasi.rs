//! What the program finds around it: the WASI context.

use std::{mem, net::SocketAddr, sync::Arc};

use enarx_wire_package::{Descriptor, DescriptorKind, Manifest, Transport};
use rand_core::Rng as _;
use wasmtime_wasi::{
    FsPerms, WasiCtx, WasiCtxBuilder, WasiView as _, filesystem::WasiFilesystemCtx, p1::WasiP1Ctx,
    sockets::SocketAddrUse,
};

use crate::{
    clock::KeepClock,
    entropy::{CpuRandom, EntropyError},
    limits::OutputMeter,
    network::Policy,
    preview1,
    session::{Session, Stream},
    stdin::StdinPipe,
    stdout::SessionOutput,
    tree::FileTree,
};

/// What WASI contexts are made from.
pub struct Surroundings {
    manifest: Arc<Manifest>,
    environment: Vec<(String, String)>,
    session: Arc<Session>,
    meter: Option<Arc<OutputMeter>>,
    clock: KeepClock,
    has_files: bool,
    files: WasiFilesystemCtx,
    random: CpuRandom,
}

impl Surroundings {
    /// What the manifest says.
    ///
    /// # Errors
    ///
    /// [`SurroundingsError`] when there is no randomness, or the files cannot be opened.
    pub fn new(
        manifest: Arc<Manifest>,
        session: Arc<Session>,
        clock: KeepClock,
        tree: Option<FileTree>,
    ) -> Result<Self, SurroundingsError> {
        let meter = (manifest.limits.output_bytes).map(|rate| Arc::new(OutputMeter::new(rate)));
        Ok(Self {
            environment: environment(&manifest),
            manifest,
            session,
            meter,
            clock,
            has_files: tree.is_some(),
            files: files(tree.as_ref())?,
            random: CpuRandom::new()?,
        })
    }

    /// The context of a module. There is no network in it: sockets among the descriptors are
    /// `preview1`'s.
    pub fn module(&self, stdin: StdinPipe) -> WasiP1Ctx {
        let mut context = self.builder(Some(stdin)).build_p1();
        self.give_files(context.ctx().ctx);
        context
    }

    /// The context of a component, whose sockets may do what `policy` allows. Without `stdin`
    /// its standard input is at its end.
    pub fn component(&self, stdin: Option<StdinPipe>, policy: &Arc<Policy>) -> WasiCtx {
        let mut builder = self.builder(stdin);
        let policy = Arc::clone(policy);
        builder
            .allow_tcp(policy.mentions(Transport::Tcp))
            .allow_udp(policy.mentions(Transport::Udp))
            .socket_addr_check(move |address: SocketAddr, purpose: SocketAddrUse| {
                let allowed = policy.allows_socket(address, purpose);
                Box::pin(async move { allowed })
            });
        let mut context = builder.build();
        self.give_files(&mut context);
        context
    }

    fn give_files(&self, context: &mut WasiCtx) {
        context.filesystem().clone_from(&self.files);
    }

    fn builder(&self, stdin: Option<StdinPipe>) -> WasiCtxBuilder {
        let mut random = self.random.clone();
        let seed = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let mut builder = WasiCtxBuilder::new();
        builder
            .allow_blocking_current_thread(true)
            .allow_tcp(false)
            .allow_udp(false)
            .insecure_random_seed(seed)
            .secure_random(random.clone())
            .insecure_random(random)
            .wall_clock(self.clock)
            .args(&self.manifest.args)
            .envs(&self.environment);
        self.streams(&mut builder, stdin);
        if self.has_files {
            builder.initial_cwd("/");
        }
        builder
    }

    fn streams(&self, builder: &mut WasiCtxBuilder, stdin: Option<StdinPipe>) {
        let descriptors = &self.manifest.descriptors;
        // Where numbers stand for other things, which ones is the descriptors' matter.
        let is_plain = preview1::is_plain(descriptors);
        let stream = |number: usize, standard| {
            if !is_plain {
                return Some(standard);
            }
            match descriptors.get(number)?.kind {
                DescriptorKind::Stdout => Some(Stream::Stdout),
                DescriptorKind::Stderr => Some(Stream::Stderr),
                _ => None,
            }
        };
        let has_stdin = !is_plain
            || (descriptors.first()).is_some_and(|first| first.kind == DescriptorKind::Stdin);
        if let Some(stdin) = stdin
            && has_stdin
        {
            builder.stdin(stdin);
        }
        if let Some(stream) = stream(1, Stream::Stdout) {
            builder.stdout(self.output(stream));
        }
        if let Some(stream) = stream(2, Stream::Stderr) {
            builder.stderr(self.output(stream));
        }
    }

    fn output(&self, stream: Stream) -> SessionOutput {
        SessionOutput::new(Arc::clone(&self.session), stream, self.meter.clone())
    }
}

/// What contexts need is not there.
#[derive(Debug, thiserror::Error)]
pub enum SurroundingsError {
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The root directory cannot be opened.
    #[error("the file tree cannot be opened: {0}")]
    Files(String),
}

/// The files of all contexts, opened once: a program of many instances has many contexts.
fn files(tree: Option<&FileTree>) -> Result<WasiFilesystemCtx, SurroundingsError> {
    let mut builder = WasiCtxBuilder::new();
    builder.allow_blocking_current_thread(true);
    if let Some(tree) = tree {
        builder
            .preopened_dir(tree.root(), "/", FsPerms::ReadWrite)
            .map_err(|error| SurroundingsError::Files(error.to_string()))?;
    }
    Ok(mem::take(builder.build().filesystem()))
}

/// The manifest's environment, and what Enarx tells a program about its
/// descriptors: their number, and their names joined by colons. A variable of the same name
/// leaves its own out if it is empty, and otherwise gives way to it.
fn environment(manifest: &Manifest) -> Vec<(String, String)> {
    let names: Vec<&str> = manifest.descriptors.iter().map(name).collect();
    let own = [
        ("FD_COUNT".to_owned(), names.len().to_string()),
        ("FD_NAMES".to_owned(), names.join(":")),
    ];
    let (same, others): (Vec<_>, Vec<_>) = manifest
        .env
        .iter()
        .cloned()
        .partition(|(name, _)| own.iter().any(|(own, _)| own == name));
    let left_out = |name: &str| {
        same.iter()
            .any(|(own, value)| own == name && value.is_empty())
    };
    let own = own.into_iter().filter(|(name, _)| !left_out(name));
    others.into_iter().chain(own).collect()
}

fn name(descriptor: &Descriptor) -> &str {
    &descriptor.name
}
