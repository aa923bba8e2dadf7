//! SGX enclaves: from a Keep image to the pages of an enclave and MRENCLAVE.
//!
//! [`EnclavePages`] lists every page of a Keep's enclave in the order of its launch. The
//! launcher adds those pages, and the owner computes [`EnclavePages::measure`] over the same
//! list. The shim finds its surroundings by [`layout`] and by the measured [`EnclaveInfo`].
//!
//! What an enclave's measurement takes in is little: the contents of the shim, of the launch
//! page, of [`EnclaveInfo`], and two pages for each thread. Of the runtime's pages it takes in
//! where they lie and what may be done with them; their contents are unmeasured when they
//! are added, and the shim hashes them where they lie before it runs them
//! ([`EnclaveInfo::runtime_digest`]).
//!
//! "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3D.

mod info;
pub mod layout;
mod measurement;
mod pages;
mod runtime;
mod sigstruct;
mod structures;

pub use info::{EnclaveInfo, EnclaveInfoError, RuntimeSegment};
pub use measurement::{Measurement, MrEnclave};
pub use pages::{EnclaveOptions, EnclavePages, Section};
pub use runtime::runtime_pages_digest;
pub use sigstruct::{
    EnclaveStatement, MODULUS_SIZE, MrSigner, SIGNED_SIZE, SIGSTRUCT_SIZE, SigningDate, Sigstruct,
    SigstructError, SigstructSignature, mr_signer,
};
pub use structures::{
    Attributes, ENCLAVE_ATTRIBUTES, EXTENDED_FEATURES, MISC_SELECT, PageType, SSA_FRAME_PAGES,
    SecInfo, Secs, Tcs,
};
