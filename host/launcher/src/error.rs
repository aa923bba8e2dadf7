//! Why a Keep was not started.

use std::io;
use std::path::PathBuf;

use enarx_wire_launch::ElfError;

use crate::child::ChildStep;
use crate::cvm::TsmError;
use crate::sgx::SigningError;
use crate::snp::{CertificateFileError, StoredIdentityError};

/// Why a Keep was not started, one variant for each step that can fail.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The backend has no TEE and was given no simulator.
    #[error(
        "this backend has no TEE to take evidence from; to run without protection, allow simulated evidence with --simulate"
    )]
    NoEvidenceSource,
    /// Less memory than the runtime itself needs.
    #[error("{0} bytes of memory are too little for a Keep; give it at least {least} bytes", least = crate::LaunchRequest::LEAST_MEMORY)]
    MemoryTooSmall(u64),
    /// The runtime's file is not the one that its digest says.
    #[error("the Keep's runtime does not have the digest that its image says; rebuild the image")]
    ImageDigest,
    /// There is no SGX here, and no simulation was asked for.
    #[error(
        "this machine has no SGX that can be used (/dev/sgx_enclave cannot be opened; `enarx platform` says why); to try it without protection, allow a simulated enclave with --simulate"
    )]
    NoSgx,
    /// The confidential VM gives no evidence, or this machine is none.
    #[error("this machine gives no evidence of a confidential VM: {0}")]
    Tsm(#[source] TsmError),
    /// A simulation was asked for that there is not.
    #[error(
        "a confidential VM cannot be simulated; to try out without protection, take the backend `process` or `sgx` with --simulate"
    )]
    NoSimulatedVm,
    /// Namespaces, without which a Keep could have the evidence of its neighbours, are not
    /// permitted.
    #[error("a Keep in a confidential VM must be confined: {0}")]
    Unconfined(String),
    /// There is no KVM that this user may use.
    #[error(
        "this machine has no KVM that can be used (/dev/kvm: {0}; `enarx platform` says what to do); to try without protection and without it, take the backend `process`"
    )]
    NoKvm(#[source] io::Error),
    /// There is no SEV-SNP that can be used, and no simulation was asked for.
    #[error(
        "this machine has no SEV-SNP that can be used ({0}; `enarx platform` says more); to try it without protection, allow a simulated one with --simulate"
    )]
    NoSnp(String),
    /// There is no TDX that can be used, and no simulation was asked for.
    #[error(
        "this machine has no TDX that can be used ({0}; `enarx platform` says more); to try it without protection, allow a simulated one with --simulate"
    )]
    NoTdx(String),
    /// The image has nothing for the backend.
    #[error(
        "this build of enarx has no shim for this backend, without which no Keep runs in it; take another backend, or a build that has one"
    )]
    NoShim,
    /// The image cannot be made into an enclave or a machine.
    #[error("the Keep image cannot be made into pages of a TEE: {0}; rebuild the image")]
    Pages(#[source] ElfError),
    /// There is an identity for the machine that its firmware would refuse.
    #[error("the identity {} cannot be used: {source}; `enarx key identify` makes another, or remove it", path.display())]
    Identity {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoredIdentityError,
    },
    /// There are certificates of the chip that no owner could use.
    #[error("the certificates {} cannot be used: {source}; `snphost import` makes such a file, or remove it", path.display())]
    Certificates {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateFileError,
    },
    /// The enclave could not be signed.
    #[error("{0}")]
    Signing(#[source] SigningError),
    /// The simulated machine could not be opened or made.
    #[error("{0}")]
    SimulatedMachine(#[source] enarx_host_simulator::StateError),
    /// The enclave was not made.
    #[error("the Keep's enclave could not be made: {0}")]
    Enclave(String),
    /// The Keep's virtual machine was not made.
    #[error("the Keep's virtual machine could not be made: {0}")]
    Machine(String),
    /// The program does not begin with [`become_keep_if_asked`](crate::become_keep_if_asked).
    #[error("this program cannot hold Keeps: its main function does not prepare for it")]
    NotPrepared,
    /// The runtime could not be put into memory.
    #[error("could not put the Keep's runtime into memory: {0}; check the free memory")]
    ImageInMemory(#[source] io::Error),
    /// The runtime could not be kept in the image cache.
    #[error("could not keep the Keep's runtime in {}: {source}; check its permissions and the free space, or remove it", path.display())]
    ImageCache {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Pipes and sockets for the Keep could not be made.
    #[error(
        "could not make the Keep's descriptors: {0}; raise the limit on open files (ulimit -n)"
    )]
    Descriptors(#[source] io::Error),
    /// The Keep's private directory could not be made.
    #[error("could not make the Keep's private directory {}: {source}; check its permissions and the free space", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes; check that getrandom(2) is permitted here")]
    Random,
    /// The thread that serves the Keep could not be started.
    #[error(
        "could not start the Keep's service thread: {0}; raise the limit on processes (ulimit -u)"
    )]
    Thread(#[source] io::Error),
    /// The child process could not be made.
    #[error("could not make the Keep's process: {0}; raise the limit on processes (ulimit -u)")]
    Clone(#[source] io::Error),
    /// The child process failed before it became a Keep.
    #[error("the Keep's process could not {step}: {source}; {remedy}", remedy = step.remedy())]
    Child {
        /// What it was doing.
        step: ChildStep,
        /// What the system said.
        source: io::Error,
    },
    /// The child process ended before it became a Keep, without a word.
    #[error("the Keep's process ended before it ran: {0}")]
    Vanished(String),
}
