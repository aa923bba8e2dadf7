//! Components: WASI 0.2 and 0.3, and what else their worlds import.
//!
//! What a component does not import is not even set up.

mod configuration;
mod keep;
mod keyvalue;
mod lookup;
mod preview3;
mod tls;

use std::{mem, sync::Arc};

use enarx_wire_package::Manifest;
use enarx_wire_provision::Ending;
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{
    I32Exit, WasiCtx, WasiCtxView, WasiView,
    p2::{self, bindings::CommandPre},
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxView, WasiTlsView};

use crate::{
    http::{Life, Outgoing},
    limits::{Limiter, Quotas},
    network::{Network, Policy},
    program::{self, Failure},
    session::Session,
    stdin::StdinPipe,
    wasi::Surroundings,
    workload::Workload,
};

/// What all instances of a program share.
pub struct Services {
    surroundings: Surroundings,
    policy: Arc<Policy>,
    network: Arc<Network>,
    quotas: Arc<Quotas>,
    workload: Workload,
    configuration: Vec<(String, String)>,
    preview3: bool,
    values: keyvalue::Values,
}

/// The state of one instance's store.
pub struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    tls: WasiTlsCtx,
    life: Life,
    limiter: Limiter,
    services: Arc<Services>,
}

impl Services {
    /// What instances of a component with this manifest share.
    pub fn new(
        manifest: &Manifest,
        surroundings: Surroundings,
        network: Network,
        quotas: Quotas,
        workload: Workload,
    ) -> Self {
        Self {
            surroundings,
            policy: Arc::new(Policy::new(manifest.network.clone())),
            network: Arc::new(network),
            quotas: Arc::new(quotas),
            workload,
            configuration: manifest.config.clone(),
            preview3: manifest.preview3,
            values: keyvalue::Values::default(),
        }
    }

    /// What sockets are made with.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Whether the program may use WASI 0.3.
    pub const fn allow_preview3(&self) -> bool {
        self.preview3
    }

    /// A store for one instance; without `stdin` its input is at its end.
    pub fn store(self: &Arc<Self>, engine: &Engine, stdin: Option<StdinPipe>) -> Store<State> {
        let life = Life::default();
        let (policy, network) = (Arc::clone(&self.policy), Arc::clone(&self.network));
        let state = State {
            wasi: self.surroundings.component(stdin, &self.policy),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(policy, network, life.clone()),
            tls: tls::context(self.network.tls.clone()),
            life,
            limiter: Limiter::new(Arc::clone(&self.quotas)),
            services: Arc::clone(self),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store
    }
}

impl State {
    /// What the instance has of its quotas.
    pub const fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// What the instance's bodies are whole for.
    pub const fn life(&self) -> &Life {
        &self.life
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outgoing,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl WasiTlsView for State {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        WasiTlsCtxView {
            ctx: &mut self.tls,
            table: &mut self.table,
        }
    }
}

/// Runs a component to its end: its `wasi:cli/run`.
pub async fn run(
    component: &Component,
    services: Arc<Services>,
    session: &Session,
    stdin: StdinPipe,
) -> Ending {
    let mut store = services.store(component.engine(), Some(stdin));
    let result = call_run(component, &mut store).await;
    let ending = program::end(result, store.data().limiter());
    session.settle(&ending);
    // The process ends now; giving back a large memory first would only take time.
    mem::forget(store);
    ending
}

async fn call_run(component: &Component, store: &mut Store<State>) -> Result<(), Failure> {
    let services = Arc::clone(&store.data().services);
    let instance = linker(component, &services)
        .and_then(|linker| linker.instantiate_pre(component))
        .map_err(Failure::Start)?;
    let outcome = match services
        .preview3
        .then(|| preview3::command(&instance))
        .flatten()
    {
        Some(command) => preview3::call_run(&command, store).await?,
        None => {
            let command = CommandPre::new(instance).map_err(Failure::Start)?;
            let command = command.instantiate_async(&mut *store).await;
            let run = command.map_err(Failure::Start)?;
            let outcome = run.wasi_cli_run().call_run(store).await;
            outcome.map_err(Failure::Run)?
        }
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(()) => Err(Failure::Run(I32Exit(1).into())),
    }
}

/// A linker with all that `component` may import from a Keep with these `services`.
///
/// # Errors
///
/// None that depends on the component.
pub fn linker(component: &Component, services: &Services) -> wasmtime::Result<Linker<State>> {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    let kind = component.component_type();
    let imports = |package: &str| {
        (kind.imports(engine))
            .any(|(name, _)| (name.strip_prefix(package)).is_some_and(|rest| rest.starts_with('/')))
    };
    if imports("wasi:sockets") {
        lookup::add_to_linker(&mut linker)?;
    }
    if services.preview3 {
        preview3::add_to_linker(&mut linker)?;
    }
    if imports("wasi:http") {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        if services.preview3 {
            wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        }
    }
    if imports("wasi:tls") {
        tls::add_to_linker(&mut linker, services.preview3)?;
    }
    if imports("wasi:config") {
        configuration::add_to_linker(&mut linker)?;
    }
    if imports("wasi:keyvalue") {
        keyvalue::add_to_linker(&mut linker)?;
    }
    if imports("enarx:keep") {
        keep::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}
