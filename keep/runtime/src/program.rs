//! Running the program.

use std::{mem, num::NonZero, sync::Arc, thread};

use enarx_wire_package::{Manifest, WorkloadKind};
use enarx_wire_provision::{Cause, Ending, SessionError};
use enarx_wire_target::{Calls, CompileTarget};
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Engine, Error, Linker, Module, ResourceLimiter as _, Store, component::Component};
use wasmtime_wasi::I32Exit;

use crate::{
    clock::KeepClock,
    code::{self, Code},
    component::{self, Services},
    ending, http,
    limits::{self, Limiter, Quotas},
    network::{Lookup, Network},
    pool,
    preview1::{self, Descriptors, Preview1},
    session::{LostSession, Session},
    stdin::StdinPipe,
    stop::Stop,
    tls::{Materials, Tls},
    tree::FileTree,
    wasi::Surroundings,
    workload::Workload,
};

/// A program and all that it may use.
pub struct Program {
    /// For what it was compiled.
    pub target: CompileTarget,
    /// What runs it.
    pub runner: Runner,
    /// How it is run.
    pub manifest: Arc<Manifest>,
    /// Its machine code, from the authenticated package.
    pub code: Code,
    /// What its package holds for TLS.
    pub tls: Materials,
    /// What it may have of memory and the like.
    pub quotas: Quotas,
    /// Where its output goes.
    pub session: Arc<Session>,
    /// Where its input comes from.
    pub stdin: StdinPipe,
    /// Where it learns the addresses of names.
    pub lookup: Lookup,
    /// Its wall clock.
    pub clock: KeepClock,
    /// Its files.
    pub tree: Option<FileTree>,
    /// What it may learn about itself.
    pub workload: Workload,
    /// Where it learns that it shall stop.
    pub stop: Arc<Stop>,
}

/// What runs programs: all that can be made before there is one. Components of WASI 0.3, which
/// are few, have another engine, made when they are there.
pub struct Runner {
    engine: Engine,
    /// The functions of preview 1.
    functions: Linker<State>,
}

impl Runner {
    /// What runs code that was compiled for `target`.
    ///
    /// # Errors
    ///
    /// When wasmtime has no such engine.
    pub fn new(target: &CompileTarget) -> Result<Self, Error> {
        let engine = engine(target, Calls::Synchronous)?;
        let mut functions = Linker::new(&engine);
        preview1::add_to_linker(&mut functions, |state: &mut State| &mut state.preview1)?;
        preview1::add_keep_to_linker(&mut functions, |state: &mut State| &state.workload)?;
        Ok(Self { engine, functions })
    }
}

/// What runs code that was compiled for `target` with these `calls`.
fn engine(target: &CompileTarget, calls: Calls) -> Result<Engine, Error> {
    let mut config = target.engine_config(calls)?;
    code::run_in_place(&mut config);
    pool::start_in_large_pages(&mut config, target);
    Engine::new(&config)
}

/// Runs a program to its end.
pub fn run(program: Program) -> Ending {
    match runtime(&program.manifest) {
        Ok(runtime) => runtime.block_on(start(program)),
        Err(error) => ending::early(Cause::Failed, error.to_string()),
    }
}

/// What waits for the program's input, output and timers. A program that is many instances
/// has as many threads as there are processors; any other has one.
fn runtime(manifest: &Manifest) -> std::io::Result<Runtime> {
    let mut builder = match manifest.http {
        Some(_) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(thread::available_parallelism().map_or(1, NonZero::get));
            builder
        }
        None => Builder::new_current_thread(),
    };
    builder.enable_time();
    if manifest.uses_network() {
        builder.enable_io();
    }
    builder.build()
}

async fn start(program: Program) -> Ending {
    match program.manifest.workload.kind {
        WorkloadKind::Module => module(program).await,
        WorkloadKind::Component => components(program).await,
    }
}

/// The state of a module's store.
struct State {
    preview1: Preview1,
    limiter: Limiter,
    workload: Workload,
}

/// Runs a core module of WASI preview 1.
async fn module(mut program: Program) -> Ending {
    let preview1 = match preview1(&mut program).await {
        Ok(preview1) => preview1,
        Err(reason) => return ending::early(Cause::Refused, reason),
    };
    let state = State {
        preview1,
        limiter: Limiter::new(Arc::new(program.quotas)),
        workload: program.workload,
    };
    let mut store = Store::new(&program.runner.engine, state);
    store.limiter(|state| &mut state.limiter);
    let result = call_start(&program.runner, program.code, &mut store).await;
    let ending = end(result, &store.data().limiter);
    // Neither the owner's impatience nor the limit of time changes it from here on.
    program.session.settle(&ending);
    let succeeded = ending.cause == Cause::Exited && ending.status == 0;
    store.data_mut().preview1.finish(succeeded).await;
    // The process ends now; giving back a large memory first would only take time.
    mem::forget(store);
    ending
}

/// Runs a component of WASI 0.2, or of WASI 0.3 if its manifest allows that.
async fn components(mut program: Program) -> Ending {
    let refused = |reason: String| ending::early(Cause::Refused, reason);
    let manifest = &Arc::clone(&program.manifest);
    if (manifest.descriptors.iter()).any(|descriptor| descriptor.kind.is_socket()) {
        return refused("only modules have sockets among their descriptors".into());
    }
    let network = match network(&mut program) {
        Ok(network) => network,
        Err(reason) => return refused(reason),
    };
    let surroundings = Surroundings::new(
        Arc::clone(manifest),
        Arc::clone(&program.session),
        program.clock,
        program.tree,
    );
    let surroundings = match surroundings {
        Ok(surroundings) => surroundings,
        Err(error) => return refused(error.to_string()),
    };
    let services = Arc::new(Services::new(
        manifest,
        surroundings,
        network,
        program.quotas,
        program.workload,
    ));
    let calls = Calls::with_preview3(manifest.preview3);
    let serving = (manifest.http.as_ref()).and_then(|_| pool::engine(&program.target, calls));
    let engine = match (serving, calls) {
        (Some(engine), _) => engine,
        (None, Calls::Synchronous) => program.runner.engine,
        (None, Calls::Asynchronous) => match engine(&program.target, calls) {
            Ok(engine) => engine,
            Err(error) => return refused(format!("{error:#}")),
        },
    };
    let code = match program.code.freeze() {
        Ok(code) => code,
        Err(error) => return refused(error.to_string()),
    };
    // SAFETY: the bytes are an entry of the package that the owner granted to this
    // Keep, which authenticates each of them, and were compiled by the owner for
    // this Keep's target, which was compared. wasmtime compares again. They are frozen.
    let component = unsafe { Component::deserialize_raw(&engine, code) };
    let component = match component {
        Ok(component) => component,
        Err(error) => return refused(format!("{error:#}")),
    };
    match &manifest.http {
        None => component::run(&component, services, &program.session, program.stdin).await,
        Some(settings) => {
            let stopping = program.stop.listen();
            http::serve(&component, services, settings, program.session, stopping).await
        }
    }
}

/// The functions of a module of preview 1, with its descriptors; or why they are not there.
async fn preview1(program: &mut Program) -> Result<Preview1, String> {
    let network = network(program)?;
    let manifest = &program.manifest;
    let surroundings = Surroundings::new(
        Arc::clone(manifest),
        Arc::clone(&program.session),
        program.clock,
        program.tree.clone(),
    );
    let wasi = surroundings
        .map_err(|error| error.to_string())?
        .module(program.stdin.clone());
    let mut preview1 = Preview1::new(wasi, program.stdin.clone());
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

/// What sockets are made with; the owner is told the Keep's own certificate.
fn network(program: &mut Program) -> Result<Network, String> {
    let materials = mem::take(&mut program.tls);
    let tls = Tls::new(&program.manifest, materials, program.clock);
    let tls = tls.map_err(|error| error.to_string())?;
    if let Some(certificate) = tls.issued()
        && let Err(error @ LostSession::Session(SessionError::TooLong(_))) =
            program.session.tell_certificate(certificate)
    {
        // Without its owner the program is stopped elsewhere.
        return Err(format!(
            "the certificate of so many names cannot be told: {error}"
        ));
    }
    Ok(Network {
        lookup: program.lookup.clone(),
        tls,
    })
}

/// Where an error comes from.
pub enum Failure {
    /// Loading, linking or instantiation, which may run code already.
    Start(Error),
    /// The program itself.
    Run(Error),
}

/// The ending of a program that ran, or that did not even start.
pub fn end(result: Result<(), Failure>, limiter: &Limiter) -> Ending {
    match result {
        Ok(()) => ending::of(Ok(()), limiter),
        Err(Failure::Start(error)) if limits::is_about_instances(&error) => {
            let limit = limiter.instances();
            let reason = format!("over its limit of instances: {limit} are allowed");
            ending::early(Cause::Limit, reason)
        }
        Err(Failure::Start(error)) if !is_execution(&error, limiter) => {
            ending::early(Cause::Refused, format!("{error:#}"))
        }
        Err(Failure::Start(error) | Failure::Run(error)) => ending::of(Err(error), limiter),
    }
}

/// Whether an error of instantiation is the program's own.
fn is_execution(error: &Error, limiter: &Limiter) -> bool {
    ending::is_of_program(error) || error.is::<I32Exit>() || limiter.denied().is_some()
}

/// Calls a module's function `_start`.
async fn call_start(runner: &Runner, code: Code, store: &mut Store<State>) -> Result<(), Failure> {
    let code = code
        .freeze()
        .map_err(|error| Failure::Start(error.into()))?;
    // SAFETY: as for components.
    let module = unsafe { Module::deserialize_raw(&runner.engine, code) };
    let module = module.map_err(Failure::Start)?;
    let instance = runner
        .functions
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
