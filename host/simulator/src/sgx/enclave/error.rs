//! Why a leaf function failed.

use std::io;

/// Why ECREATE, EADD, EEXTEND, EMODPR, EWB or ELDU failed.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The processor raises a general protection exception.
    #[error("#GP: {0}")]
    GeneralProtection(&'static str),
    /// The processor raises a page fault.
    #[error("#PF at enclave offset {offset:#x}: {reason}")]
    PageFault {
        /// Where in the enclave.
        offset: u64,
        /// What is wrong with the page.
        reason: &'static str,
    },
    /// EMODPR reports `SGX_PAGE_NOT_MODIFIABLE` (20) in `RAX`.
    #[error("the page at enclave offset {offset:#x} is pending or modified (SGX error 20)")]
    NotModifiable {
        /// Where in the enclave.
        offset: u64,
    },
    /// ELDU reports `SGX_MAC_COMPARE_FAIL` (7) in `RAX`.
    #[error(
        "the page for enclave offset {offset:#x} is not the latest that was there (SGX error 7)"
    )]
    MacComparison {
        /// Where in the enclave.
        offset: u64,
    },
    /// There is an enclave in this process already.
    #[error("this process has an enclave already; a simulated enclave needs a process of its own")]
    Occupied,
    /// The system refused memory.
    #[error("could not set up the enclave's memory: {0}")]
    Memory(#[source] io::Error),
}

/// Why EINIT failed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `SGX_INVALID_SIG_STRUCT` (1).
    #[error("the signature structure is malformed: {0} (SGX error 1)")]
    SignatureStructure(&'static str),
    /// `SGX_INVALID_ATTRIBUTE` (2).
    #[error("the enclave's {0} are not those that were signed (SGX error 2)")]
    Attribute(&'static str),
    /// `SGX_INVALID_MEASUREMENT` (4).
    #[error("the enclave's measurement is {}, and another was signed (SGX error 4)", hex::encode(.0))]
    Measurement([u8; 32]),
    /// `SGX_INVALID_SIGNATURE` (8).
    #[error("the enclave's signature does not verify (SGX error 8)")]
    Signature,
    /// The machine or its kernel lacks something that the simulation is built on.
    #[error("this machine cannot simulate enclaves: {0}")]
    Unsupported(&'static str),
    /// The system refused something.
    #[error("could not start the enclave: {0}")]
    System(#[from] io::Error),
}
