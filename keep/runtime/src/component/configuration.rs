//! `wasi:config`: values from the package, secrets among them.

use wasmtime::{
    Result,
    component::{ComponentType, Lift, Linker, Lower},
};

use super::State;

/// The interface (`wasi:config`, WIT package of version 0.2.0-rc.1).
const STORE: &str = "wasi:config/store@0.2.0-rc.1";

/// `error`: none of them ever happens here.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

/// Adds the interface.
///
/// # Errors
///
/// When it is there already.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance(STORE)?;
    instance.func_wrap("get", |store, (key,): (String,)| {
        let values = &store.data().services.configuration;
        let value = values.iter().find(|(known, _)| *known == key);
        Ok((Ok::<_, Error>(value.map(|(_, value)| value.clone())),))
    })?;
    instance.func_wrap("get-all", |store, (): ()| {
        Ok((Ok::<_, Error>(store.data().services.configuration.clone()),))
    })
}
