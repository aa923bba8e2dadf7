//! The `sgx` backend: a Keep in an SGX enclave, of the processor or of the simulator.
//!
//! ```text
//! launch() ── pages, MRENCLAVE, SIGSTRUCT ── child::begin ──► this program as `enarx-sgx-keep`:
//!    ▲                                            │             configuration, ECREATE,
//!    │                                            │             EADD, EINIT, confinement
//!    └────────── channel, process ◄── "running" ──┴──────────── threads: EENTER, serve, ...
//! ```
//!
//! The enclave's own process does nothing but enter it and serve [calls](enarx_wire_hostcall::call).
//! Between the processor and the simulator there is one seam, [`EnclaveBuilder`] and [`Enclave`].

pub mod aesm;
mod backend;
mod configuration;
mod enclave;
mod enter;
mod hardware;
mod keep_process;
mod loader;
mod remote_quoting;
mod run;
mod services;
mod signing;
mod sigstructs;
mod simulated;

#[cfg(all(test, target_arch = "x86_64"))]
mod fake;
#[cfg(test)]
mod test_image;

pub use backend::SgxBackend;
pub use enclave::{EENTER, EEXIT, ERESUME, Enclave, EnclaveBuilder, EnterFunction, Run};
pub(crate) use hardware::can_enter;
pub(crate) use keep_process::{NAME as PROCESS_NAME, run as run_keep};
pub use services::Quoting;
pub use signing::{SigningError, SigningKey};
pub use sigstructs::{sigstruct_file_name, today};
