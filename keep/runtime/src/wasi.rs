//! What the program finds around it: the WASI context.

use std::sync::Arc;

use enarx_wire_package::{Descriptor, DescriptorKind, Manifest};
use rand_core::Rng as _;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, p1::WasiP1Ctx};

use crate::{
    clock::KeepClock,
    entropy::{CpuRandom, EntropyError},
    preview1,
    session::{Session, Stream},
    stdin::StdinPipe,
    stdout::SessionOutput,
    tree::FileTree,
};

/// The WASI context of a manifest. There is no network in it: sockets among the descriptors
/// are `preview1`'s.
///
/// # Errors
///
/// [`ContextError`] when the manifest asks for something that does not exist.
pub fn context(
    manifest: &Manifest,
    session: &Arc<Session>,
    stdin: StdinPipe,
    clock: KeepClock,
    tree: Option<&FileTree>,
) -> Result<WasiP1Ctx, ContextError> {
    let mut random = CpuRandom::new()?;
    let mut builder = WasiCtxBuilder::new();
    builder
        .allow_blocking_current_thread(true)
        .allow_tcp(false)
        .allow_udp(false)
        .insecure_random_seed(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()))
        .secure_random(random)
        .insecure_random(CpuRandom::new()?)
        .wall_clock(clock)
        .args(&manifest.args)
        .envs(&environment(manifest));
    if preview1::is_plain(&manifest.descriptors) {
        for (number, descriptor) in manifest.descriptors.iter().enumerate() {
            let stream = match descriptor.kind {
                DescriptorKind::Stdout => Stream::Stdout,
                DescriptorKind::Stderr => Stream::Stderr,
                DescriptorKind::Stdin => {
                    builder.stdin(stdin.clone());
                    continue;
                }
                _ => continue,
            };
            match number {
                1 => builder.stdout(output(session, stream)),
                _ => builder.stderr(output(session, stream)),
            };
        }
    } else {
        // Which number stands for which of them is the program's descriptors' matter.
        builder
            .stdin(stdin)
            .stdout(output(session, Stream::Stdout))
            .stderr(output(session, Stream::Stderr));
    }
    if let Some(tree) = tree {
        builder
            .preopened_dir(tree.root(), "/", FsPerms::ReadWrite)
            .map_err(|error| ContextError::FileTree(error.to_string()))?
            .initial_cwd("/");
    }
    Ok(builder.build_p1())
}

/// Why there is no context for a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The root directory cannot be opened.
    #[error("the file tree cannot be opened: {0}")]
    FileTree(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
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

fn output(session: &Arc<Session>, stream: Stream) -> SessionOutput {
    SessionOutput::new(Arc::clone(session), stream)
}
