//! Running the program.

use std::{mem, sync::Arc};

use enarx_wire_package::{Manifest, WorkloadKind};
use enarx_wire_provision::{Cause, Ending, SessionError};
use wasmtime::{Engine, Error, Module, Store, component::Component};
use wasmtime_wasi::{
    I32Exit, WasiCtxView, WasiView,
    p2::{self, bindings::Command},
};

use crate::{
    clock::KeepClock,
    ending,
    limits::MemoryLimit,
    network::{Lookup, Network},
    preview1::{self, Descriptors, Preview1},
    session::{LostSession, Session},
    stdin::StdinPipe,
    tls::{Materials, Tls},
    tree::FileTree,
    wasi,
};

/// A program and all that it may use.
pub struct Program<'a> {
    /// The engine for the Keep's target.
    pub engine: &'a Engine,
    /// How it is run.
    pub manifest: &'a Manifest,
    /// Its machine code, from the authenticated package.
    pub artifact: Vec<u8>,
    /// What its package holds for TLS.
    pub tls: Materials,
    /// Bytes that its linear memories may have.
    pub memory_bytes: u64,
    /// Where its output goes.
    pub session: &'a Arc<Session>,
    /// Where its input comes from.
    pub stdin: StdinPipe,
    /// Where it learns the addresses of names.
    pub lookup: Lookup,
    /// Its wall clock.
    pub clock: KeepClock,
    /// Its files.
    pub tree: Option<FileTree>,
}

/// Runs a program to its end.
pub fn run(program: Program<'_>) -> Ending {
    // Timers are all that most programs wait for beside their input; the runtime needs
    // no further thread.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time();
    if program.manifest.uses_network() {
        builder.enable_io();
    }
    match builder.build() {
        Ok(runtime) => runtime.block_on(start(program)),
        Err(error) => ending::early(Cause::Failed, error.to_string()),
    }
}

/// The state of a program's store.
struct State {
    preview1: Preview1,
    memory: MemoryLimit,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.preview1.wasi.ctx()
    }
}

async fn start(mut program: Program<'_>) -> Ending {
    let preview1 = match environment(&mut program).await {
        Ok(preview1) => preview1,
        Err(reason) => return ending::early(Cause::Refused, reason),
    };
    let memory = MemoryLimit::new(program.memory_bytes);
    let mut store = Store::new(program.engine, State { preview1, memory });
    store.limiter(|state| &mut state.memory);
    let result = match program.manifest.workload.kind {
        WorkloadKind::Module => module(program.engine, program.artifact, &mut store).await,
        WorkloadKind::Component => component(program.engine, program.artifact, &mut store).await,
    };
    let memory = &store.data().memory;
    let ending = match result {
        Ok(()) => ending::of(Ok(()), memory),
        Err(Failure::Start(error)) if !is_execution(&error, memory) => {
            ending::early(Cause::Refused, format!("{error:#}"))
        }
        Err(Failure::Start(error) | Failure::Run(error)) => ending::of(Err(error), memory),
    };
    // Neither the owner's impatience nor the limit of time changes it from here on.
    program.session.settle(&ending);
    let succeeded = ending.cause == Cause::Exited && ending.status == 0;
    store.data_mut().preview1.finish(succeeded).await;
    // The process ends now; giving back a large memory first would only take time.
    mem::forget(store);
    ending
}

/// What the program finds around it; or why it is not there.
async fn environment(program: &mut Program<'_>) -> Result<Preview1, String> {
    let manifest = program.manifest;
    if manifest.workload.kind == WorkloadKind::Component && manifest.uses_network() {
        return Err("only modules have sockets among their descriptors".into());
    }
    let wasi = wasi::context(
        manifest,
        program.session,
        program.stdin.clone(),
        program.clock,
        program.tree.as_ref(),
    );
    let wasi = wasi.map_err(|error| error.to_string())?;
    let mut preview1 = Preview1::new(wasi, program.stdin.clone());
    let materials = mem::take(&mut program.tls);
    let tls = Tls::new(manifest, materials, program.clock).map_err(|error| error.to_string())?;
    if let Some(certificate) = tls.issued()
        && let Err(error @ LostSession::Session(SessionError::TooLong(_))) =
            program.session.tell_certificate(certificate)
    {
        // Without its owner the program is stopped elsewhere.
        return Err(format!(
            "the certificate of so many names cannot be told: {error}"
        ));
    }
    let network = Network {
        lookup: program.lookup.clone(),
        tls,
    };
    let descriptors = Descriptors::open(
        manifest,
        program.tree.is_some(),
        &network,
        |descriptor, listener| {
            let text = format!("{} listens on {}", descriptor.name, listener.address());
            let _ = program.session.log(text);
        },
    );
    let descriptors = descriptors.await.map_err(|error| error.to_string())?;
    preview1.set_descriptors(descriptors);
    Ok(preview1)
}

/// Where an error comes from.
enum Failure {
    /// Loading, linking or instantiation, which may run code already.
    Start(Error),
    /// The program itself.
    Run(Error),
}

/// Whether an error of instantiation is the program's own.
fn is_execution(error: &Error, memory: &MemoryLimit) -> bool {
    error.is::<wasmtime::Trap>()
        || error.is::<wasmtime::ThrownException>()
        || error.is::<I32Exit>()
        || memory.denied().is_some()
}

/// A core module of WASI preview 1: its function `_start`.
async fn module(
    engine: &Engine,
    artifact: Vec<u8>,
    store: &mut Store<State>,
) -> Result<(), Failure> {
    // SAFETY: the bytes are an entry of the package that the owner granted to this
    // Keep, which authenticates each of them, and were compiled by the owner for
    // this Keep's target, which was compared. wasmtime compares again.
    let module = unsafe { Module::deserialize(engine, &artifact) }.map_err(Failure::Start)?;
    drop(artifact);
    let mut linker = wasmtime::Linker::new(engine);
    preview1::add_to_linker(&mut linker, |state: &mut State| &mut state.preview1)
        .map_err(Failure::Start)?;
    let instance = linker
        .instantiate_async(&mut *store, &module)
        .await
        .map_err(Failure::Start)?;
    let entry = instance
        .get_typed_func::<(), ()>(&mut *store, "_start")
        .map_err(|error| {
            Failure::Start(
                error.context("the module is no WASI program: it has no function _start"),
            )
        })?;
    entry.call_async(store, ()).await.map_err(Failure::Run)
}

/// A component of WASI preview 2: its `wasi:cli/run`.
async fn component(
    engine: &Engine,
    artifact: Vec<u8>,
    store: &mut Store<State>,
) -> Result<(), Failure> {
    // SAFETY: as for modules.
    let component = unsafe { Component::deserialize(engine, &artifact) }.map_err(Failure::Start)?;
    drop(artifact);
    let mut linker = wasmtime::component::Linker::new(engine);
    p2::add_to_linker_async(&mut linker).map_err(Failure::Start)?;
    let command = Command::instantiate_async(&mut *store, &component, &linker)
        .await
        .map_err(Failure::Start)?;
    let outcome = command.wasi_cli_run().call_run(store).await;
    match outcome.map_err(Failure::Run)? {
        Ok(()) => Ok(()),
        Err(()) => Err(Failure::Run(I32Exit(1).into())),
    }
}
