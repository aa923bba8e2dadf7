//! What an enclave is to the processor.

use crate::fields::get;

/// The identity of an initialised enclave: what its SECS holds beside addresses (Intel
/// SDM, volume 3D, "Layout of SGX Enclave Control Structure (SECS)").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnclaveIdentity {
    /// Digest of how it was built (`MRENCLAVE`).
    pub mrenclave: [u8; 32],
    /// SHA-256 of its signer's public key (`MRSIGNER`).
    pub mrsigner: [u8; 32],
    /// Its attributes (`ATTRIBUTES`).
    pub attributes: Attributes,
    /// What else the processor saves at an exit (`MISCSELECT`).
    pub misc_select: u32,
    /// The signer's product number (`ISVPRODID`).
    pub isv_prod_id: u16,
    /// The signer's security version (`ISVSVN`).
    pub isv_svn: u16,
    /// What the host said at launch (`CONFIGID`).
    pub config_id: [u8; 64],
    /// The security version of that (`CONFIGSVN`).
    pub config_svn: u16,
    /// The signer's longer product identity (`ISVEXTPRODID`).
    pub isv_ext_prod_id: [u8; 16],
    /// The signer's product family (`ISVFAMILYID`).
    pub isv_family_id: [u8; 16],
}

/// `ATTRIBUTES` (Intel SDM, volume 3D, "Layout of ATTRIBUTES Structure").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The 64 flags, of which the constants here name some.
    pub flags: u64,
    /// The processor state that the enclave uses, as in XCR0 (`XFRM`).
    pub xfrm: u64,
}

impl Attributes {
    /// The enclave was initialised.
    pub const INIT: u64 = 1 << 0;
    /// The host may look into it.
    pub const DEBUG: u64 = 1 << 1;
    /// It runs in 64-bit mode.
    pub const MODE64BIT: u64 = 1 << 2;
    /// It may have provisioning keys.
    pub const PROVISION_KEY: u64 = 1 << 4;
    /// It may have the key of launch tokens.
    pub const EINITTOKEN_KEY: u64 = 1 << 5;
    /// Key separation and sharing: `CONFIGID` and its like are used.
    pub const KSS: u64 = 1 << 7;

    /// Size of the structure in bytes.
    pub const SIZE: usize = 16;

    /// The structure as it stands in others.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let both = u128::from(self.flags) | u128::from(self.xfrm) << 64;
        both.to_le_bytes()
    }

    /// Reads the structure; it has no bytes that must be zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        Self {
            flags: u64::from_le_bytes(get(bytes, 0)),
            xfrm: u64::from_le_bytes(get(bytes, 8)),
        }
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: u64) -> bool {
        self.flags & flags == flags
    }
}
