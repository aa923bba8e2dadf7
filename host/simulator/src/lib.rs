//! Software TEEs.
//!
//! A simulator produces evidence in the exact format of the hardware that it
//! stands in for, so that everything behind it (parsing, verification,
//! appraisal, the protocol) runs as it would on that hardware. It protects
//! nothing: whoever runs it holds its keys. So its roots are its own, carry
//! the word "Simulator" in their names, and no policy accepts them unless it
//! says so.
//!
//! The formats are written here from the manufacturers' documents, and read in
//! the owner's crates from the same documents, without a line in common. Each
//! side is the other's test.
//!
//! - [`snp`]: the AMD secure processor (SEV-SNP attestation reports, VCEK)
//! - [`sgx`]: an Intel machine (keys of enclaves, DCAP quotes, PCK), and
//!   [enclaves](sgx::enclave) that run in this process
//! - [`tdx`]: the TDX module of such a machine (reports of trust domains)

mod fields;
pub mod sgx;
pub mod snp;
mod state;
pub mod tdx;
mod x509;

pub use state::StateError;
pub use x509::CertificateError;
