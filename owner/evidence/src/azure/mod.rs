//! Confidential VMs of Azure, behind a virtual TPM.
//!
//! A paravisor runs in the VM at its highest privilege and gives the guest a TPM. The
//! hardware's report binds the paravisor's runtime data, those hold the TPM's attestation
//! key (AK), and the TPM quotes its registers, for a nonce, under that key:
//!
//! ```text
//!   hardware report --report data--> runtime data --AK--> TPM quote --> nonce, PCRs
//! ```
//!
//! [`Evidence::check`] follows these arrows; the hardware report itself is verified like
//! any other, by [`snp`](crate::snp) or [`dcap`](crate::dcap).
//!
//! A paravisor's report by itself proves no more than its SEV-SNP report does ([`snp_report`]).
//! Whose paravisor it is, only its launch measurement tells: anybody's VM could be its own.
//!
//! Of the VMs in which confidential containers run, a [`UvmEndorsement`] says what their launch
//! measurement is.
//!
//! Sources: *Azure confidential VM guest attestation design*, HCL report; *TPM 2.0 Library,
//! Part 2: Structures* (TCG), `TPMS_ATTEST`.

mod error;
mod evidence;
mod hcl;
mod quote;
mod uvm;

pub use error::Error;
pub use evidence::{Evidence, Hardware, VirtualTpm};
pub(crate) use hcl::SIGNATURE as HCL_SIGNATURE;
pub use hcl::snp_report;
pub use uvm::{MICROSOFT_SUPPLY_CHAIN_ROOT, UvmEndorsement, UvmError};
