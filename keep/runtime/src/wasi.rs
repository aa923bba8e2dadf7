//! What the program finds around it: the WASI context.

use std::{net::SocketAddr, sync::Arc};

use enarx_wire_package::{Descriptor, DescriptorKind, Manifest, Transport};
use rand_core::Rng as _;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, p1::WasiP1Ctx, sockets::SocketAddrUse};

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
    tree: Option<FileTree>,
    random: CpuRandom,
}

impl Surroundings {
    /// What the manifest says.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when there is no randomness.
    pub fn new(
        manifest: Arc<Manifest>,
        session: Arc<Session>,
        clock: KeepClock,
        tree: Option<FileTree>,
    ) -> Result<Self, EntropyError> {
        let meter = (manifest.limits.output_bytes).map(|rate| Arc::new(OutputMeter::new(rate)));
        Ok(Self {
            environment: environment(&manifest),
            manifest,
            session,
            meter,
            clock,
            tree,
            random: CpuRandom::new()?,
        })
    }

    /// The context of a module. There is no network in it: sockets among the descriptors are
    /// `preview1`'s.
    ///
    /// # Errors
    ///
    /// [`FileTreeError`].
    pub fn module(&self, stdin: StdinPipe) -> Result<WasiP1Ctx, FileTreeError> {
        Ok(self.builder(Some(stdin))?.build_p1())
    }

    /// The context of a component, whose sockets may do what `policy` allows. Without `stdin`
    /// its standard input is at its end.
    ///
    /// # Errors
    ///
    /// [`FileTreeError`].
    pub fn component(
        &self,
        stdin: Option<StdinPipe>,
        policy: &Arc<Policy>,
    ) -> Result<WasiCtx, FileTreeError> {
        let mut builder = self.builder(stdin)?;
        let policy = Arc::clone(policy);
        builder
            .allow_tcp(policy.mentions(Transport::Tcp))
            .allow_udp(policy.mentions(Transport::Udp))
            .socket_addr_check(move |address: SocketAddr, purpose: SocketAddrUse| {
                let allowed = policy.allows_socket(address, purpose);
                Box::pin(async move { allowed })
            });
        Ok(builder.build())
    }

    fn builder(&self, stdin: Option<StdinPipe>) -> Result<WasiCtxBuilder, FileTreeError> {
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
        if let Some(tree) = &self.tree {
            builder
                .preopened_dir(tree.root(), "/", FsPerms::ReadWrite)
                .map_err(|error| FileTreeError(error.to_string()))?
                .initial_cwd("/");
        }
        Ok(builder)
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

/// The root directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the file tree cannot be opened: {0}")]
pub struct FileTreeError(String);

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
