//! What SEV-SNP machines have of their own beside the launch: identities, and certificates of their chip.

mod certificates;
mod signing;
mod store;

pub(crate) use certificates::CertificateFile;
pub use certificates::CertificateFileError;
pub use signing::{IdentityError, IdentityKey};
pub(crate) use store::IdentityStore;
pub use store::{StoredIdentityError, identity_file_name};

/// The policy that Keeps are launched with (AMD #56860, 4.3): simultaneous threads are allowed,
/// debugging and migration are not.
pub const GUEST_POLICY: u64 = 1 << 16 | 1 << 17;
