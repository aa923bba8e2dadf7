//! What a program may learn about itself and the Keep around it.

use std::sync::{Mutex, PoisonError};

use enarx_wire_launch::LaunchPage;
use enarx_wire_package::{Digest, Manifest};
use enarx_wire_provision::workload_report_data;

use crate::device::{AttestationDevice, AttestationError};

/// The program's identity, and who vouches for it.
pub struct Workload {
    /// The application's name.
    pub name: String,
    /// SHA-384 of the `.wasm`.
    pub program: Digest,
    /// What evidence calls the application, which only who has its key can compute.
    pub application: Digest,
    /// What was measured into this Keep.
    pub launch: LaunchPage,
    device: Mutex<AttestationDevice>,
}

/// Bytes that a nonce may have.
pub const MAX_NONCE: usize = 64;

impl Workload {
    /// The program of `manifest`, which evidence calls `application`, in a Keep of `launch`.
    pub fn new(
        manifest: &Manifest,
        application: Digest,
        launch: LaunchPage,
        device: AttestationDevice,
    ) -> Self {
        Self {
            name: manifest.name.clone(),
            program: manifest.workload.digest,
            application,
            launch,
            device: Mutex::new(device),
        }
    }

    /// Evidence of this Keep that binds the application and `nonce`
    /// ([`workload_report_data`]).
    ///
    /// # Errors
    ///
    /// [`EvidenceError`].
    pub fn evidence(&self, nonce: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        if nonce.len() > MAX_NONCE {
            return Err(EvidenceError::NonceLength);
        }
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(device.evidence(&workload_report_data(&self.application, nonce))?)
    }
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The nonce is longer than nonces may be.
    #[error("a nonce has at most {MAX_NONCE} bytes")]
    NonceLength,
    /// The TEE gives none.
    #[error(transparent)]
    Device(#[from] AttestationError),
}
