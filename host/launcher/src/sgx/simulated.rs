//! Enclaves of the simulator.

use std::path::Path;

use super::enclave::EnclaveBuilder;
use super::service::Quoting;

/// Opens the simulated machine whose state is below `directory`.
///
/// # Errors
///
/// What stands in the way.
pub(super) fn open(
    _directory: &Path,
) -> Result<(Box<dyn EnclaveBuilder>, Box<dyn Quoting>), String> {
    Err("the SGX simulator is not in this version".to_owned())
}
