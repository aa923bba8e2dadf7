//! The part of the processor that holds keys.

use crate::sgx::{EnclaveIdentity, KeyRequest, Report, TargetInfo};

/// Size of REPORTDATA in bytes (38.15.1).
pub const REPORT_DATA_SIZE: usize = 64;

/// The part of the processor that holds keys.
///
/// Called on the thread that executes the leaf function, with the host's
/// thread-local storage in place, on a signal stack of about 240 KiB.
pub trait Hardware: Send + Sync {
    /// What EREPORT writes. The simulator has checked that the operands are where the
    /// enclave may use them, and nothing about their contents.
    ///
    /// # Errors
    ///
    /// [`Refusal`]
    fn report(
        &self,
        identity: &EnclaveIdentity,
        target_info: &[u8; TargetInfo::SIZE],
        report_data: &[u8; REPORT_DATA_SIZE],
    ) -> Result<[u8; Report::SIZE], Refusal>;

    /// The key that EGETKEY writes.
    ///
    /// # Errors
    ///
    /// [`Refusal`]
    fn key(
        &self,
        identity: &EnclaveIdentity,
        key_request: &[u8; KeyRequest::SIZE],
    ) -> Result<[u8; 16], Refusal>;
}

/// Why the processor gives no report or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It raises a general protection exception.
    GeneralProtection,
    /// It leaves this error code in `RAX`.
    Status(u64),
}
