//! Who an enclave is, and the keys that follow from it.

/// Size of a REPORT in bytes (SDM volume 3D, 38.15).
pub const REPORT_SIZE: usize = 432;
/// Size of a TARGETINFO in bytes (38.16).
pub const TARGET_INFO_SIZE: usize = 512;
/// Size of REPORTDATA in bytes (38.15.1).
pub const REPORT_DATA_SIZE: usize = 64;
/// Size of a KEYREQUEST in bytes (38.18).
pub const KEY_REQUEST_SIZE: usize = 512;

/// An initialised enclave's identity, from its SECS (SDM volume 3D, 38.7) and
/// its SIGSTRUCT (38.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE: the digest of how the enclave was built.
    pub mrenclave: [u8; 32],
    /// MRSIGNER: the SHA-256 of the signer's modulus.
    pub mrsigner: [u8; 32],
    /// ATTRIBUTES with INIT set, then XFRM.
    pub attributes: [u8; 16],
    /// MISCSELECT.
    pub misc_select: u32,
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// CONFIGID.
    pub config_id: [u8; 64],
    /// CONFIGSVN.
    pub config_svn: u16,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: [u8; 16],
    /// ISVFAMILYID.
    pub isv_family_id: [u8; 16],
}

/// The part of the processor that holds keys.
///
/// Called on the thread that executes the leaf function, with the host's
/// thread-local storage in place, on a signal stack of about 240 KiB.
pub trait Hardware: Send + Sync {
    /// What EREPORT writes. The simulator has checked that the operands are where the
    /// enclave may use them, and nothing about their contents.
    fn report(
        &self,
        identity: &Identity,
        target_info: &[u8; TARGET_INFO_SIZE],
        report_data: &[u8; REPORT_DATA_SIZE],
    ) -> [u8; REPORT_SIZE];

    /// The key that EGETKEY writes.
    ///
    /// # Errors
    ///
    /// What EGETKEY returns in `RAX`.
    fn key(
        &self,
        identity: &Identity,
        key_request: &[u8; KEY_REQUEST_SIZE],
    ) -> Result<[u8; 16], u64>;
}
