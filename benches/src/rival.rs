//! The rival inside this program: wasmtime's library as the `wasmtime` command uses
//! it unless told otherwise, which is `Config::new()` without any change.

use std::path::Path;

use anyhow::{Context, anyhow};
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::{
    WasiCtxBuilder,
    p1::{self, WasiP1Ctx},
    p2::pipe::MemoryOutputPipe,
};

/// Compiles a module as [`run_captured`] and [`run_from_file`] load it.
///
/// # Errors
///
/// What wasmtime says.
pub fn compile(wasm: &[u8]) -> anyhow::Result<Vec<u8>> {
    engine()
        .and_then(|engine| engine.precompile_module(wasm))
        .map_err(failed)
}

/// Loads a compiled module and runs it, all with an engine of its own; gives what it
/// wrote to its standard output.
///
/// # Errors
///
/// What wasmtime says, and when the program prints something that is not text.
pub fn run_captured(module: &Path) -> anyhow::Result<String> {
    let output = MemoryOutputPipe::new(OUTPUT_LIMIT);
    let mut context = WasiCtxBuilder::new();
    context.stdout(output.clone()).inherit_stderr();
    run(module, context.build_p1()).map_err(failed)?;
    let text = output.contents().to_vec();
    String::from_utf8(text).context("the program printed something that is not text")
}

/// Loads a compiled module and runs it with this process's standard streams.
///
/// # Errors
///
/// What wasmtime says.
pub fn run_from_file(module: &Path) -> anyhow::Result<()> {
    let context = WasiCtxBuilder::new().inherit_stdio().build_p1();
    run(module, context).map_err(failed)
}

/// More than any program of the benchmarks prints.
const OUTPUT_LIMIT: usize = 4096;

fn engine() -> wasmtime::Result<Engine> {
    Engine::new(&Config::new())
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("wasmtime: {error:?}")
}

fn run(module: &Path, context: WasiP1Ctx) -> wasmtime::Result<()> {
    let engine = engine()?;
    // SAFETY: the file was written by `compile` for this run's own use, in a
    // directory that only this user can write to.
    let module = unsafe { Module::deserialize_file(&engine, module) }?;
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_async(&mut linker, |context: &mut WasiP1Ctx| context)?;
    let mut store = Store::new(&engine, context);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?
        .block_on(async {
            let instance = linker.instantiate_async(&mut store, &module).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call_async(&mut store, ()).await?;
            Ok(())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules;

    #[test]
    fn generated_modules_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module");
        for wasm in [modules::tiny(), modules::large(1 << 16)] {
            std::fs::write(&path, compile(&wasm).unwrap()).unwrap();
            assert_eq!(run_captured(&path).unwrap(), modules::OUTPUT);
        }
    }
}
