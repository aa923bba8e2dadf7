//! WASI 0.3, for components whose manifest allows it: the same files, streams, clocks, sockets
//! and rules as in WASI 0.2, since both are made from the same context.

use wasmtime::{
    Result, Store,
    component::{InstancePre, Linker},
};
use wasmtime_wasi::p3::{self, bindings::CommandPre};

use super::{State, lookup};
use crate::program::Failure;

/// Adds all of WASI 0.3 that a command may import.
///
/// # Errors
///
/// When the engine has no asynchronous calls.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    p3::add_to_linker(linker)?;
    lookup::add_preview3_to_linker(linker)
}

/// The command that `instance` is, if it has the `wasi:cli/run` of WASI 0.3.
pub fn command(instance: &InstancePre<State>) -> Option<CommandPre<State>> {
    CommandPre::new(instance.clone()).ok()
}

/// Calls it, and gives whether it succeeded. What it has begun and not awaited ends with it.
pub async fn call_run(
    command: &CommandPre<State>,
    store: &mut Store<State>,
) -> Result<Result<(), ()>, Failure> {
    let command = command.instantiate_async(&mut *store).await;
    let command = command.map_err(Failure::Start)?;
    let outcome = store
        .run_concurrent(async |store| command.wasi_cli_run().call_run(store).await)
        .await;
    outcome.flatten().map_err(Failure::Run)
}
