//! A software Intel machine with SGX and [TDX](crate::tdx): the processor's keys, and the
//! quoting enclaves.
//!
//! A real processor derives the keys of its enclaves from fuses, and a quoting enclave of
//! Intel's turns their reports into quotes, with a key that the platform's provisioning
//! certification key (PCK) vouches for ("Intel 64 and IA-32 Architectures Software Developer's
//! Manual", volume 3D; "Intel SGX ECDSA QuoteGenReference API"). This one does the same with
//! a root of its own. Of the keys of its authorities none is stored: nothing is ever issued
//! again, so keeping them could only do harm.

mod certificate;
mod collateral;
pub mod enclave;
mod fuses;
mod identity;
mod key_request;
mod platform;
mod processor;
mod quoting;
mod report;
mod target;

use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

pub use fuses::{Fuses, KEY_SIZE, KeyError};
pub use identity::{Attributes, EnclaveIdentity};
pub use key_request::{KeyName, KeyPolicy, KeyRequest};
pub use processor::Processor;
pub use report::Report;
pub use target::TargetInfo;

pub use crate::fields::ReservedNotZero;

use crate::StateError;
use crate::state::{Contents, Layout, StoredFile};
use crate::tdx::{self, REPORT_DATA_SIZE, TD_REPORT_SIZE, TrustDomain};
use crate::x509::{CertificateError, Period};
use fuses::FUSES_SIZE;
use quoting::{QuotingEnclave, Tee};

/// Subject common name of the root, unlike Intel's.
pub const ROOT_NAME: &str = "Enarx Simulator SGX Root CA";

/// What quotes of a [`Machine`] are verified with: certificates and revocation lists in DER,
/// documents in JSON with their signatures.
///
/// The quote itself carries its chain of certificates, from the PCK to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsements {
    /// The root: self-signed, subject CN [`ROOT_NAME`].
    pub root: Vec<u8>,
    /// The authority that issued the PCK certificate.
    pub pck_authority: Vec<u8>,
    /// The platform's own certificate (PCK), with Intel's SGX extensions.
    pub pck: Vec<u8>,
    /// The certificate of the key that signed the two documents, issued by the root.
    pub tcb_signing: Vec<u8>,
    /// TCB info for enclaves, version 3.
    pub tcb_info: Vec<u8>,
    /// The identity of the quoting enclave for enclaves, version 2.
    pub qe_identity: Vec<u8>,
    /// TCB info for trust domains, version 3.
    pub tdx_tcb_info: Vec<u8>,
    /// The identity of the quoting enclave for trust domains, version 2.
    pub tdx_qe_identity: Vec<u8>,
    /// The root's revocation list.
    pub root_revocations: Vec<u8>,
    /// The revocation list of the authority that issued the PCK certificate.
    pub pck_revocations: Vec<u8>,
}

/// Why the quoting enclave gives no quote.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// What it was given is not a report.
    #[error("a report has {expected} bytes, not {actual}")]
    Size {
        /// Bytes of a report of this kind.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The report was changed, made on another machine, or made for another enclave.
    #[error("the report was not made on this machine for the quoting enclave")]
    Unauthentic,
    /// The stored key is not an EC P-256 key in PKCS #8.
    #[error(
        "the simulator's signing key {path} cannot be used; remove its directory and a new simulated machine is made"
    )]
    Key {
        /// The key's file.
        path: String,
    },
    /// The cryptographic library failed.
    #[error("the simulated quoting enclave failed: {0}")]
    Quoting(#[from] CertificateError),
}

/// A software machine with SGX and TDX. It can be shared between threads.
pub struct Machine {
    fuses: Fuses,
    endorsements: Endorsements,
    pck_document: Zeroizing<Vec<u8>>,
    pck_path: String,
    quoting: OnceLock<QuotingEnclave>,
    tdx_quoting: OnceLock<QuotingEnclave>,
}

impl Machine {
    /// Opens the simulated machine that lives below `state_directory`, and makes one there
    /// on first use, which takes milliseconds.
    ///
    /// Two processes that open the same directory for the first time at once end up with the
    /// same machine.
    ///
    /// # Errors
    ///
    /// See [`StateError`]. What is stored there is never repaired or replaced silently:
    /// earlier evidence would no longer verify against it.
    pub fn open(state_directory: &Path) -> Result<Self, StateError> {
        Self::open_announcing(state_directory, || {
            tracing::info!(
                directory = %state_directory.display(),
                "making a simulated Intel machine; this is done once"
            );
        })
    }

    /// Like [`open`](Self::open), and calls `announce` instead of emitting an event before
    /// a machine is made.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_announcing(
        state_directory: &Path,
        announce: impl FnOnce(),
    ) -> Result<Self, StateError> {
        let stored = LAYOUT.load_or_create(state_directory, announce, issue)?;
        let [
            root,
            pck_authority,
            pck,
            tcb_signing,
            tcb_info,
            qe_identity,
            tdx_tcb_info,
            tdx_qe_identity,
            root_revocations,
            pck_revocations,
            pck_document,
            fuses,
        ] = stored;
        let directory = LAYOUT.directory_in(state_directory);
        let mut secret = Zeroizing::new([0; FUSES_SIZE]);
        if fuses.len() != secret.len() {
            return Err(LAYOUT.damaged(&directory.join(FUSES), &directory));
        }
        secret.copy_from_slice(&fuses);
        Ok(Self {
            fuses: Fuses::new(secret),
            endorsements: Endorsements {
                root: root.to_vec(),
                pck_authority: pck_authority.to_vec(),
                pck: pck.to_vec(),
                tcb_signing: tcb_signing.to_vec(),
                tcb_info: tcb_info.to_vec(),
                qe_identity: qe_identity.to_vec(),
                tdx_tcb_info: tdx_tcb_info.to_vec(),
                tdx_qe_identity: tdx_qe_identity.to_vec(),
                root_revocations: root_revocations.to_vec(),
                pck_revocations: pck_revocations.to_vec(),
            },
            pck_document,
            pck_path: directory.join(PCK_KEY).display().to_string(),
            quoting: OnceLock::new(),
            tdx_quoting: OnceLock::new(),
        })
    }

    /// Whether a machine lives below `state_directory` already.
    #[must_use]
    pub fn is_made(state_directory: &Path) -> bool {
        LAYOUT.is_made(state_directory)
    }

    /// Does what the first quote of an enclave needs beside its report.
    pub fn prepare(&self) {
        // What is wrong with the key is told when a quote is asked for.
        let _ = self.quoting_enclave(Tee::Enclave);
    }

    /// The processor's secrets, for the instructions that use them.
    #[must_use]
    pub fn fuses(&self) -> Fuses {
        self.fuses.clone()
    }

    /// A processor of this machine's, just started.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn start_processor(&self) -> Result<Processor, CertificateError> {
        let mut key_id = [0; 32];
        rand::fill(&mut key_id).map_err(|_| CertificateError::KeyGeneration)?;
        Ok(Processor::new(self.fuses(), key_id))
    }

    /// The `TARGETINFO` of the quoting enclave: for whom a report must be made to be quoted.
    #[must_use]
    pub fn quoting_target(&self) -> [u8; TargetInfo::SIZE] {
        TargetInfo::of(&Tee::Enclave.quoting_enclave()).to_bytes()
    }

    /// Turns an enclave's report into a quote, once it has been verified.
    ///
    /// # Errors
    ///
    /// [`QuoteError`].
    pub fn quote(&self, report: &[u8]) -> Result<Vec<u8>, QuoteError> {
        let report: &[u8; Report::SIZE] = report.try_into().map_err(|_| QuoteError::Size {
            expected: Report::SIZE,
            actual: report.len(),
        })?;
        if !quoting::is_quotable(&self.fuses, report) {
            return Err(QuoteError::Unauthentic);
        }
        let body = &report[..Report::BODY_SIZE];
        Ok(self.quoting_enclave(Tee::Enclave)?.quote(body)?)
    }

    /// `TDG.MR.REPORT`: has the TDX module report `domain`.
    #[must_use]
    pub fn report_trust_domain(
        &self,
        domain: &TrustDomain,
        report_data: &[u8; REPORT_DATA_SIZE],
    ) -> [u8; TD_REPORT_SIZE] {
        let key = self.fuses.trust_domain_key();
        tdx::report(domain, report_data, &platform::CPU_SVN, &key)
    }

    /// Turns a trust domain's report into a quote of version 4, once it has been verified.
    ///
    /// # Errors
    ///
    /// [`QuoteError`].
    pub fn quote_trust_domain(&self, report: &[u8]) -> Result<Vec<u8>, QuoteError> {
        let report = report.try_into().map_err(|_| QuoteError::Size {
            expected: TD_REPORT_SIZE,
            actual: report.len(),
        })?;
        let body = tdx::quoted(report, &self.fuses.trust_domain_key());
        let body = body.ok_or(QuoteError::Unauthentic)?;
        Ok(self.quoting_enclave(Tee::TrustDomain)?.quote(&body)?)
    }

    /// What this machine's quotes are verified with.
    #[must_use]
    pub fn endorsements(&self) -> &Endorsements {
        &self.endorsements
    }

    fn quoting_enclave(&self, tee: Tee) -> Result<&QuotingEnclave, QuoteError> {
        let place = match tee {
            Tee::Enclave => &self.quoting,
            Tee::TrustDomain => &self.tdx_quoting,
        };
        if let Some(enclave) = place.get() {
            return Ok(enclave);
        }
        let pck = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pck_document)
            .map_err(|_| QuoteError::Key {
                path: self.pck_path.clone(),
            })?;
        let started = QuotingEnclave::start(tee, &self.fuses, &self.endorsements, &pck)?;
        Ok(place.get_or_init(|| started))
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("pck_path", &self.pck_path)
            .finish_non_exhaustive()
    }
}

/// The platform's key, in PKCS #8.
const PCK_KEY: &str = "pck.key";
/// What stands for the processor's fuses: random bytes.
const FUSES: &str = "fuses.key";

const LAYOUT: Layout<12> = Layout {
    tee: "Intel machine",
    directory: "intel",
    files: [
        StoredFile::Public("root.der"),
        StoredFile::Public("pck-authority.der"),
        StoredFile::Public("pck.der"),
        StoredFile::Public("tcb-signing.der"),
        StoredFile::Public("tcb-info.json"),
        StoredFile::Public("qe-identity.json"),
        StoredFile::Public("tdx-tcb-info.json"),
        StoredFile::Public("tdx-qe-identity.json"),
        StoredFile::Public("root-revocations.der"),
        StoredFile::Public("pck-revocations.der"),
        StoredFile::Secret(PCK_KEY),
        StoredFile::Secret(FUSES),
    ],
};

/// Everything that first use makes, in the order of [`LAYOUT`].
fn issue() -> Result<Contents<12>, CertificateError> {
    let mut secret = Zeroizing::new([0; FUSES_SIZE]);
    rand::fill(&mut *secret).map_err(|_| CertificateError::KeyGeneration)?;
    let fuses = secret.to_vec();
    let ppid = Fuses::new(secret).identity("PPID");
    let period = Period::from(SystemTime::now())?;
    let issued = certificate::issue(period, &ppid)?;
    let pck_document = issued.pck_key.to_pkcs8v1();
    let pck_document = pck_document.map_err(|_| CertificateError::KeyGeneration)?;
    Ok([
        issued.root,
        issued.pck_authority,
        issued.pck,
        issued.tcb_signing,
        collateral::tcb_info(Tee::Enclave, period, &issued.tcb_signing_key)?,
        collateral::qe_identity(Tee::Enclave, period, &issued.tcb_signing_key)?,
        collateral::tcb_info(Tee::TrustDomain, period, &issued.tcb_signing_key)?,
        collateral::qe_identity(Tee::TrustDomain, period, &issued.tcb_signing_key)?,
        issued.root_revocations,
        issued.pck_revocations,
        pck_document.as_ref().to_vec(),
        fuses,
    ]
    .map(Zeroizing::new))
}
