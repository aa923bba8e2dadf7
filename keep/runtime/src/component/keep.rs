//! `enarx:keep`: what a component learns about itself and its Keep, and its keys.

use wasmtime::{
    Result,
    component::{HasSelf, Linker},
};

use self::bindings::enarx::keep::{
    attestation::{self, KeepMeasurement, ProgramIdentity},
    keys,
};
use super::State;
use crate::workload::{EvidenceError, KeyError, KeyScope};

/// What `wit/keep.wit` says.
mod bindings {
    wasmtime::component::bindgen!({ path: "wit", world: "imports" });
}

/// Adds the interfaces.
///
/// # Errors
///
/// When one is there already.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    bindings::Imports::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl attestation::Host for State {
    fn identity(&mut self) -> ProgramIdentity {
        let workload = &self.services.workload;
        ProgramIdentity {
            name: workload.name.clone(),
            program: workload.program.to_vec(),
            application: workload.application.to_vec(),
        }
    }

    fn measurement(&mut self) -> KeepMeasurement {
        let launch = &self.services.workload.launch;
        KeepMeasurement {
            platform: launch.platform.as_str().to_owned(),
            format: launch.evidence.as_str().to_owned(),
            runtime: launch.runtime_digest.to_vec(),
            memory_bytes: launch.memory_bytes,
        }
    }

    fn evidence(&mut self, nonce: Vec<u8>) -> Result<Vec<u8>, attestation::Error> {
        let evidence = self.services.workload.evidence(&nonce);
        evidence.map_err(|error| match error {
            EvidenceError::NonceLength => attestation::Error::NonceLength,
            EvidenceError::Device(error) => attestation::Error::Unavailable(error.to_string()),
        })
    }
}

impl keys::Host for State {
    fn derive_key(&mut self, scope: keys::Scope, context: Vec<u8>) -> Result<Vec<u8>, keys::Error> {
        let scope = match scope {
            keys::Scope::Application => KeyScope::Application,
            keys::Scope::Program => KeyScope::Program,
        };
        let key = self.services.workload.key(scope, &context);
        // The copy is the program's, whose memory is not wiped either.
        key.map(|key| key.to_vec()).map_err(|error| match error {
            KeyError::ContextLength => keys::Error::ContextLength,
            KeyError::NoSecret => keys::Error::NoSecret,
        })
    }
}
