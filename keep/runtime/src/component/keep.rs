//! `enarx:keep`: what a component learns about itself and its Keep, and its keys
//! (`wit/keep.wit`).

use wasmtime::{
    Result, StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower},
};

use super::State;
use crate::workload::{EvidenceError, KeyScope};

/// The interfaces.
const ATTESTATION: &str = "enarx:keep/attestation@0.1.0";
const KEYS: &str = "enarx:keep/keys@0.1.0";

/// `identity`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Identity {
    name: String,
    program: Vec<u8>,
    application: Vec<u8>,
}

/// `measurement`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Measurement {
    platform: String,
    format: String,
    runtime: Vec<u8>,
    #[component(name = "memory-bytes")]
    memory_bytes: u64,
}

/// `error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "nonce-length")]
    NonceLength,
    #[component(name = "unavailable")]
    Unavailable(String),
}

type Caller<'a> = StoreContextMut<'a, State>;

/// Adds the interfaces.
///
/// # Errors
///
/// When one is there already.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance(ATTESTATION)?;
    instance.func_wrap("identity", |caller: Caller<'_>, (): ()| {
        let workload = &caller.data().services.workload;
        Ok((Identity {
            name: workload.name.clone(),
            program: workload.program.to_vec(),
            application: workload.application.to_vec(),
        },))
    })?;
    instance.func_wrap("measurement", |caller: Caller<'_>, (): ()| {
        let launch = &caller.data().services.workload.launch;
        Ok((Measurement {
            platform: launch.platform.as_str().to_owned(),
            format: launch.evidence.as_str().to_owned(),
            runtime: launch.runtime_digest.to_vec(),
            memory_bytes: launch.memory_bytes,
        },))
    })?;
    instance.func_wrap("evidence", |caller: Caller<'_>, (nonce,): (Vec<u8>,)| {
        let evidence = caller.data().services.workload.evidence(&nonce);
        Ok((evidence.map_err(|error| match error {
            EvidenceError::NonceLength => Error::NonceLength,
            EvidenceError::Device(error) => Error::Unavailable(error.to_string()),
        }),))
    })?;
    linker.instance(KEYS)?.func_wrap(
        "derive-key",
        |caller: Caller<'_>, (scope, context): (KeyScope, Vec<u8>)| {
            let key = caller.data().services.workload.key(scope, &context);
            // The copy is the program's, whose memory is not wiped either.
            Ok((key.map(|key| key.to_vec()),))
        },
    )
}
