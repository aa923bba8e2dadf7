//! One module for each command: its arguments with their help, and what it does.

pub mod attach;
pub mod completions;
pub mod config;
pub mod deploy;
mod foreground;
pub mod host;
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

use anyhow::Context as _;
use enarx_owner_compiler::ProgramKind;
use tokio::runtime::{Builder, Runtime};

/// WebAssembly's two binary formats, for people.
fn program_kind(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::Module => "core module",
        ProgramKind::Component => "component",
    }
}

/// What waits for hosts and Keeps: one thread is quicker to start, and enough.
fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for input and output")
}
