//! What every backend offers, and which exist.

use std::path::Path;
use std::sync::Arc;

use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_launch::{KeepImage, KeepMemory, MemoryStrategy, Platform};

use crate::cvm::CvmBackend;
use crate::kvm::KvmBackend;
use crate::process::ProcessBackend;
use crate::sgx::SgxBackend;
use crate::{LaunchError, LaunchedKeep};

/// A way to run Keeps.
///
/// Shared between threads; each launch is independent of the others.
pub trait Backend: Send + Sync {
    /// The kind of Keep that it runs.
    fn platform(&self) -> Platform;

    /// Begins with what `request` will take, before anybody asks for it: a launch with the same
    /// memory, limits and image is quicker then. The simulator does not matter yet. Returns within
    /// a fraction of a millisecond; what goes wrong is for the launch to say.
    fn prepare(&self, request: &LaunchRequest<'_>) {
        let _ = request;
    }

    /// Starts an empty Keep: nothing of any application is in it.
    ///
    /// Blocks until the Keep's code runs, for milliseconds.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] names the step that failed and what to do about it. A
    /// failed launch leaves nothing behind.
    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError>;
}

/// What a Keep is started from and with.
#[derive(Debug, Clone, Copy)]
pub struct LaunchRequest<'a> {
    /// The files that make the Keep. The caller vouches for the digest.
    pub image: &'a KeepImage<'a>,
    /// Memory of the Keep in bytes, at least [`LaunchRequest::LEAST_MEMORY`].
    pub memory_bytes: u64,
    /// How compiled code may rely on the memory's protection; it is measured.
    pub strategy: MemoryStrategy,
    /// Processor time that the Keep may use in seconds, unlimited if absent.
    pub cpu_seconds: Option<u64>,
    /// Whether the Keep may use the host's network.
    pub network: bool,
    /// What the platform's evidence says the host said (`HOST_DATA` of SEV-SNP).
    pub host_data: [u8; 32],
    /// The software TEE to use in place of a real one.
    pub simulator: Option<Simulator<'a>>,
}

/// A software TEE.
#[derive(Debug, Clone, Copy)]
pub enum Simulator<'a> {
    /// An AMD secure processor, for the backends `process`, `kvm` and `snp`.
    SecureProcessor(&'a Arc<SecureProcessor>),
    /// An Intel machine, for the backends `sgx` and `tdx`.
    IntelMachine {
        /// The directory of its state.
        directory: &'a Path,
        /// Whether enclaves are patched after they were measured, which makes them quicker and
        /// less like hardware.
        fast: bool,
    },
}

impl LaunchRequest<'_> {
    /// The runtime itself, without any application, needs about this much.
    pub const LEAST_MEMORY: u64 = 16 << 20;

    /// What is measured of its memory.
    #[must_use]
    pub const fn memory(&self) -> KeepMemory {
        KeepMemory {
            bytes: self.memory_bytes,
            strategy: self.strategy,
        }
    }
}

/// Something by a platform's vendor that its evidence is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// What it is.
    pub kind: EndorsementKind,
    /// A certificate or revocation list in DER, or a document as its vendor wrote it.
    pub bytes: Vec<u8>,
}

/// The endorsements that evidence of some platform needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndorsementKind {
    /// The key of one AMD chip at one TCB version.
    SnpVcek,
    /// AMD's intermediate for one product.
    SnpAsk,
    /// AMD's root for one product.
    SnpArk,
    /// The table of certificates that a VM's host hands out with reports (AMD #56421).
    SnpCertificateTable,
    /// Intel's root, or a simulator's.
    DcapRoot,
    /// The certificate of the key that signs TCB info and identities.
    DcapTcbSigning,
    /// TCB info of the kind of platform.
    DcapTcbInfo,
    /// The identity of the quoting enclave.
    DcapQeIdentity,
    /// The root's revocation list.
    DcapRootRevocations,
    /// The revocation list of the authority that certified the platform's key.
    DcapPckRevocations,
}

impl EndorsementKind {
    /// The name used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SnpVcek => "snp-vcek",
            Self::SnpAsk => "snp-ask",
            Self::SnpArk => "snp-ark",
            Self::SnpCertificateTable => "snp-certificate-table",
            Self::DcapRoot => "dcap-root",
            Self::DcapTcbSigning => "dcap-tcb-signing",
            Self::DcapTcbInfo => "dcap-tcb-info",
            Self::DcapQeIdentity => "dcap-qe-identity",
            Self::DcapRootRevocations => "dcap-root-revocations",
            Self::DcapPckRevocations => "dcap-pck-revocations",
        }
    }
}

/// The backends of this version.
#[must_use]
pub fn backends(directories: Directories<'_>) -> Vec<Box<dyn Backend>> {
    vec![
        Box::new(ProcessBackend::new(directories.images)),
        Box::new(SgxBackend::new(directories.signatures)),
        Box::new(CvmBackend::new(directories.images)),
        Box::new(KvmBackend::new()),
        Box::new(KvmBackend::snp(directories.snp)),
        Box::new(KvmBackend::tdx()),
    ]
}

/// The backend for `platform`, if this version has one.
#[must_use]
pub fn backend(platform: Platform, directories: Directories<'_>) -> Option<Box<dyn Backend>> {
    backends(directories)
        .into_iter()
        .find(|backend| backend.platform() == platform)
}

/// Private directories in which backends may keep what makes later starts quicker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Directories<'a> {
    /// For Keep images, so that a start does not begin by copying them.
    pub images: Option<&'a Path>,
    /// For the key that signs the host's enclaves, and its signatures.
    pub signatures: Option<&'a Path>,
    /// For what SEV-SNP machines have of their host: identities that others signed, the chip's certificates.
    pub snp: Option<&'a Path>,
}
