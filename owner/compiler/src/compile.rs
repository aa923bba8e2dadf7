//! From a program to machine code.

use enarx_wire_target::{Calls, CompileTarget, TargetError};
use wasmtime::Engine;

use crate::{
    ArtifactCache, CacheError, MachineCode, Program, ProgramId, ProgramKind, bounded, cache::Key,
    proposals,
};

/// Compiles `program` for `target` and with these `calls`, or takes the result from `cache`.
///
/// # Errors
///
/// [`CompileError`]; never because of the cache, see [`Origin`].
pub fn compile(
    program: &Program<'_>,
    target: &CompileTarget,
    calls: Calls,
    cache: &ArtifactCache,
) -> Result<Artifact, CompileError> {
    target.check_supported()?;
    let unreadable = match compiled_before(&program.id(), target, calls, cache) {
        Ok(Some(artifact)) => return Ok(artifact),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let bytes = generate(program, target, calls)?;
    let key = Key::new(&program.digest(), target, calls);
    let origin = match (cache.store(&key, &bytes), unreadable) {
        (Err(error), _) | (Ok(()), Some(error)) => Origin::Compiled(Some(error)),
        (Ok(()), None) => Origin::Compiled(None),
    };
    Ok(Artifact {
        code: bytes.into(),
        program: program.id(),
        origin,
    })
}

/// What [`compile`] would take from `cache` for `program`.
///
/// # Errors
///
/// [`CacheError`] says why the cache cannot be read.
pub fn compiled_before(
    program: &ProgramId,
    target: &CompileTarget,
    calls: Calls,
    cache: &ArtifactCache,
) -> Result<Option<Artifact>, CacheError> {
    let code = cache.load(&Key::new(&program.digest, target, calls))?;
    Ok(code.map(|code| Artifact {
        code,
        program: *program,
        origin: Origin::Cache,
    }))
}

/// A program that was compiled.
#[derive(Debug)]
pub struct Artifact {
    /// What a Keep's runtime loads.
    pub code: MachineCode,
    /// What was compiled.
    pub program: ProgramId,
    /// Where the code comes from.
    pub origin: Origin,
}

/// Where an artifact comes from.
#[derive(Debug)]
pub enum Origin {
    /// It was compiled before.
    Cache,
    /// It was compiled now; the error, if any, says why the cache did not have it
    /// or will not have it the next time.
    Compiled(Option<CacheError>),
}

/// Why a program could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The Keep's target is not one of this compiler's.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The program is not valid; the reason names the place.
    #[error("invalid WebAssembly: {0}")]
    Invalid(String),
    /// The program needs proposals that Keeps do not have.
    #[error("the program needs WebAssembly proposals that Keeps do not support: {}", .0.join(", "))]
    UnsupportedProposal(Vec<&'static str>),
    /// The code generator failed on a valid program.
    #[error("compilation failed: {0}")]
    Failed(String),
}

fn generate(
    program: &Program<'_>,
    target: &CompileTarget,
    calls: Calls,
) -> Result<Vec<u8>, CompileError> {
    let engine = Engine::new(&target.compiler_config(calls)?).map_err(failed)?;
    let wasm = program.wasm();
    let compiled = match program.kind() {
        ProgramKind::Module => engine.precompile_module(wasm),
        ProgramKind::Component => engine.precompile_component(wasm),
    };
    compiled.map_err(|error| diagnose(wasm, calls, error))
}

/// Compilation reports only that it failed: a failure is told apart afterwards.
fn diagnose(wasm: &[u8], calls: Calls, error: wasmtime::Error) -> CompileError {
    match proposals::missing(wasm, calls) {
        Err(reason) => CompileError::Invalid(bounded(reason.to_string())),
        Ok(missing) if !missing.is_empty() => CompileError::UnsupportedProposal(missing),
        Ok(_) => failed(error),
    }
}

fn failed(error: wasmtime::Error) -> CompileError {
    CompileError::Failed(bounded(format!("{error:#}")))
}
