//! The `sgx` backend: a Keep in an SGX enclave, of the processor or of the simulator.

mod block_memory;
mod clock;
mod enclave;
mod enter;
mod parking;
mod run;
mod service;
mod signing;
mod sigstructs;

#[cfg(all(test, target_arch = "x86_64"))]
mod fake;

pub use enclave::{Enclave, EnclaveBuilder, EnterFunction, Run};
pub use run::STOPPED_STATUS;
pub use service::Quoting;
pub use signing::{SigningError, SigningKey};
pub use sigstructs::{file_name as sigstruct_file_name, today};
