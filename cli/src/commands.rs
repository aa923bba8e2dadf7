//! One module for each command: its arguments with their help, and what it does.

pub mod attach;
pub mod attest;
pub mod collateral;
pub mod completions;
pub mod config;
pub mod deploy;
mod files;
mod foreground;
pub mod host;
pub mod key;
pub mod logs;
pub mod man;
pub mod measure;
pub mod package;
pub mod platform;
pub mod policy;
pub mod ps;
pub mod run;
mod sessions;
pub mod stop;
pub mod verify;

pub use files::{read_at_most, read_signing_key};

use anyhow::Context as _;
use enarx_owner_compiler::ProgramKind;
use tokio::runtime::Builder;

/// WebAssembly's two binary formats, for people.
fn program_kind(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::Module => "core module",
        ProgramKind::Component => "component",
    }
}

/// Runs `command` to its end, on one thread: that is quicker to start, and enough.
/// What no longer matters is not ended in order: a thread may hang in a read from the
/// terminal, another sees a Keep's process off, which would end with this process.
pub fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for input and output")?;
    let result = runtime.block_on(command);
    std::mem::forget(runtime);
    result
}
