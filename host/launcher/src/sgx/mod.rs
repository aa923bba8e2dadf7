//! The `sgx` backend: a Keep in an SGX enclave, of the processor or of the simulator.
//!
//! ```text
//! launch() ── pages, MRENCLAVE, SIGSTRUCT ── child::start ──► this program as `enarx-sgx-keep`:
//!    ▲                                            │             configuration, ECREATE,
//!    │                                            │             EADD, EINIT, confinement
//!    └────────── channel, process ◄── "running" ──┴──────────── threads: EENTER, serve, ...
//! ```
//!
//! The enclave's own process does nothing but enter it and serve [calls](enarx_wire_hostcall::call).
//! Between the processor and the simulator there is one seam, [`EnclaveBuilder`] and [`Enclave`].

pub mod aesm;
mod backend;
mod block_memory;
mod clock;
mod configuration;
mod enclave;
mod enter;
mod hardware;
mod keep_process;
mod loader;
mod parking;
mod processor;
mod remote_quoting;
mod run;
mod service;
mod signing;
mod sigstructs;
mod simulated;
mod sockets;

#[cfg(all(test, target_arch = "x86_64"))]
mod fake;
#[cfg(test)]
mod test_image;

pub use backend::SgxBackend;
pub use enclave::{EENTER, EEXIT, ERESUME, Enclave, EnclaveBuilder, EnterFunction, Run};
pub(crate) use hardware::can_enter;
pub use keep_process::become_keep_if_asked;
pub use run::STOPPED_STATUS;
pub use service::Quoting;
pub use signing::{SigningError, SigningKey};
pub use sigstructs::{sigstruct_file_name, today};
