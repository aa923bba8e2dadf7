//! What a program may learn about itself and the Keep around it.

use std::sync::{Mutex, PoisonError};

use enarx_wire_launch::LaunchPage;
use enarx_wire_package::{Digest, Manifest};
use enarx_wire_provision::{ApplicationSecret, workload_report_data};
use zeroize::Zeroizing;

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
    /// What its keys come from.
    secret: Option<ApplicationSecret>,
    device: Mutex<AttestationDevice>,
}

/// Bytes that a nonce may have.
pub const MAX_NONCE: usize = 64;

/// Bytes that the context of a key may have.
pub const MAX_CONTEXT: usize = 1024;

/// Who else has a key.
#[derive(Debug, Clone, Copy)]
pub enum KeyScope {
    /// Every program that its owner deploys as this application.
    Application,
    /// This program alone, as it is to the byte.
    Program,
}

impl Workload {
    /// The program of `manifest`, which evidence calls `application` and whose keys come from
    /// `secret`, in a Keep of `launch`.
    pub fn new(
        manifest: &Manifest,
        application: Digest,
        secret: Option<ApplicationSecret>,
        launch: LaunchPage,
        device: AttestationDevice,
    ) -> Self {
        Self {
            name: manifest.name.clone(),
            program: manifest.workload.digest,
            application,
            launch,
            secret,
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

    /// The key for `context`, which is there again in the next deployment.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn key(&self, scope: KeyScope, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if context.len() > MAX_CONTEXT {
            return Err(KeyError::ContextLength);
        }
        let secret = self.secret.as_ref().ok_or(KeyError::NoSecret)?;
        Ok(match scope {
            KeyScope::Application => secret.application_key(context),
            KeyScope::Program => secret.program_key(&self.program, context),
        })
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

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The context is longer than contexts may be.
    #[error("a context has at most {MAX_CONTEXT} bytes")]
    ContextLength,
    /// Nothing of the owner's stays that a key could come from.
    #[error("the owner granted no secret that stays")]
    NoSecret,
}
