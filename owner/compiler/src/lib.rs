//! Compiles WebAssembly for an attested Keep.
//!
//! The owner's side compiles, never the Keep: a [`Program`] is checked and
//! compiled with Cranelift for a [`CompileTarget`] that a Keep stated in its
//! attested claims. Compilation is deterministic: the same program and target
//! give the same [`Artifact`] on every machine, so that anybody can recompute it.
//! An [`ArtifactCache`] spares the owner doing it twice.
//!
//! [`CompileTarget`]: enarx_wire_target::CompileTarget

mod cache;
mod compile;
mod interface;
mod machine_code;
mod program;
mod proposals;
mod source;

pub use cache::{ArtifactCache, CacheError, DEFAULT_CAPACITY};
pub use compile::{Artifact, CompileError, Origin, compile, compiled_before};
pub use interface::{Interface, InterfaceError};
pub use machine_code::{MachineCode, MachineCodeReader};
pub use program::{DEFAULT_MAX_SIZE, Program, ProgramError, ProgramId, ProgramKind};
pub use source::{ProgramFile, ProgramSource};

/// A SHA-384 digest.
pub type Digest = [u8; 48];

/// The most characters of another library's message that an error repeats.
const MESSAGE_LIMIT: usize = 2000;

/// The first characters of a message that may quote a hostile program.
fn bounded(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_LIMIT) {
        message.truncate(end);
        message.push('…');
    }
    message
}

fn sha384(parts: &[&[u8]]) -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA384);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 48];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
