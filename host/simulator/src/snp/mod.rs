//! A software AMD secure processor.
//!
//! The real one holds a chip-unique key, the VCEK, certified by AMD's ASK and
//! ARK, and signs attestation reports with it ("SEV Secure Nested Paging
//! Firmware ABI Specification", AMD publication 56860). This one does the same
//! with three keys of its own. The two RSA keys exist only while the
//! certificates are issued and are never stored: nothing is ever issued again,
//! so keeping them could only do harm.

mod certificate;
mod message;
mod report;
mod tcb;

use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

pub use message::{BadMessage, GuestMessages, MESSAGE_KEY_SIZE, MESSAGE_SIZE};
pub use report::{GuestIdentity, GuestPolicy, REPORT_SIZE, ReportRequest, Vmpl};
pub use tcb::TcbVersion;

use crate::StateError;
use crate::state::{Layout, StoredFile};
use crate::x509::CertificateError;

/// Size of a chip's identity (`CHIP_ID`, `hwID`) in bytes.
pub const CHIP_ID_SIZE: usize = 64;

/// The certificates of a [`SecureProcessor`], each in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The root: self-signed, RSA-4096, subject CN [`ROOT_NAME`].
    pub ark: Vec<u8>,
    /// The intermediate: RSA-4096, issued by the root.
    pub ask: Vec<u8>,
    /// The chip's endorsement: EC P-384, issued by the intermediate, with the
    /// extensions that AMD's key distribution service puts into a VCEK.
    pub vcek: Vec<u8>,
}

/// Subject common name of the root, unlike any of AMD's.
pub const ROOT_NAME: &str = "Enarx Simulator ARK";

/// Why a report was not produced.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The stored key is not an EC P-384 key in PKCS #8.
    #[error(
        "the simulator's signing key {path} cannot be used; remove its directory and a new simulated processor is made"
    )]
    Key {
        /// The key's file.
        path: String,
    },
    /// The cryptographic library refused to sign.
    #[error("the simulator could not sign a report")]
    Signing,
}

/// A software AMD secure processor.
///
/// Cheap to open: the stored key is parsed when the first report is asked for.
/// It can be shared between threads.
pub struct SecureProcessor {
    certificates: Certificates,
    key_document: Zeroizing<Vec<u8>>,
    key_path: String,
    key: OnceLock<EcdsaKeyPair>,
}

impl SecureProcessor {
    /// Opens the simulated processor that lives below `state_directory`,
    /// and makes one there on first use.
    ///
    /// Making one generates two RSA-4096 keys, which takes seconds; a `tracing`
    /// event of level INFO says so. Two processes that open the same
    /// directory for the first time at once end up with the same processor.
    ///
    /// # Errors
    ///
    /// See [`StateError`]. What is stored there is never repaired or replaced
    /// silently: earlier evidence would no longer verify against it.
    pub fn open(state_directory: &Path) -> Result<Self, StateError> {
        Self::open_announcing(state_directory, || {
            tracing::info!(
                directory = %state_directory.display(),
                "making a simulated AMD secure processor; this is done once and takes a few seconds"
            );
        })
    }

    /// Like [`open`](Self::open), and calls `announce` instead of emitting an
    /// event before the seconds that making a processor takes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_announcing(
        state_directory: &Path,
        announce: impl FnOnce(),
    ) -> Result<Self, StateError> {
        let stored = LAYOUT.load_or_create(state_directory, announce, || {
            let issued = certificate::issue()?;
            let key = issued.vcek.to_pkcs8v1();
            let key = key.map_err(|_| CertificateError::KeyGeneration)?;
            let Certificates { ark, ask, vcek } = issued.certificates;
            Ok([ark, ask, vcek, key.as_ref().to_vec()].map(Zeroizing::new))
        })?;
        let [ark, ask, vcek, key_document] = stored;
        let key_path = LAYOUT.directory_in(state_directory).join(KEY);
        Ok(Self {
            certificates: Certificates {
                ark: ark.to_vec(),
                ask: ask.to_vec(),
                vcek: vcek.to_vec(),
            },
            key_document,
            key_path: key_path.display().to_string(),
            key: OnceLock::new(),
        })
    }

    /// Whether a processor lives below `state_directory` already, so that opening takes
    /// no time.
    #[must_use]
    pub fn is_made(state_directory: &Path) -> bool {
        LAYOUT.is_made(state_directory)
    }

    /// Does what the first report needs beside its request.
    pub fn prepare(&self) {
        // What is wrong with the key is told when a report is asked for.
        let _ = self.key();
    }

    /// The certificates that endorse this processor's reports.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Signs an attestation report: what firmware answers to
    /// `SNP_GUEST_REQUEST` / `MSG_REPORT_REQ` (56860, 7.3), version 3.
    ///
    /// # Errors
    ///
    /// [`ReportError::Key`] if the stored key is unusable,
    /// [`ReportError::Signing`] if the cryptographic library fails.
    pub fn report(&self, request: &ReportRequest) -> Result<[u8; REPORT_SIZE], ReportError> {
        let key = self.key()?;
        let mut bytes = report::unsigned(request, &chip_id(key));
        let signature = key
            .sign(&SystemRandom::new(), &bytes[..report::SIGNED_SIZE])
            .map_err(|_| ReportError::Signing)?;
        report::put_signature(&mut bytes, signature.as_ref());
        Ok(bytes)
    }

    fn key(&self) -> Result<&EcdsaKeyPair, ReportError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let parsed = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &self.key_document)
            .map_err(|_| ReportError::Key {
                path: self.key_path.clone(),
            })?;
        Ok(self.key.get_or_init(|| parsed))
    }
}

impl std::fmt::Debug for SecureProcessor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SecureProcessor")
            .field("key_path", &self.key_path)
            .finish_non_exhaustive()
    }
}

/// The key by which reports are signed is the only one that is stored, in PKCS #8.
const KEY: &str = "vcek.key";

const LAYOUT: Layout<4> = Layout {
    tee: "AMD secure processor",
    directory: "snp",
    files: [
        StoredFile::Public("ark.der"),
        StoredFile::Public("ask.der"),
        StoredFile::Public("vcek.der"),
        StoredFile::Secret(KEY),
    ],
};

/// The identity of the chip that holds `key`.
///
/// A real one is fused and unrelated to the key. Deriving it from the public
/// key keeps it stable, unique and in step with the certificate without
/// another stored file.
fn chip_id(key: &EcdsaKeyPair) -> [u8; CHIP_ID_SIZE] {
    use aws_lc_rs::signature::KeyPair;

    let mut chip_id = [0; CHIP_ID_SIZE];
    let digest = digest::digest(&digest::SHA512, key.public_key().as_ref());
    chip_id.copy_from_slice(digest.as_ref());
    chip_id
}
