//! The `sgx` backend: a Keep in an SGX enclave, of the processor or of the simulator.

mod signing;

pub use signing::{SigningError, SigningKey};
