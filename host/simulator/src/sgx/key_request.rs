//! What an enclave asks `EGETKEY` for.

use super::{Attributes, ReservedNotZero};
use crate::fields::{check_reserved, get, get_u16, get_u32, put};

/// A request for a key (Intel SDM, volume 3D, "Layout of KEYREQUEST Data Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// Which key is wanted (`KEYNAME`); see [`KeyName`].
    pub key_name: u16,
    /// To which parts of the enclave's identity it shall be bound (`KEYPOLICY`).
    pub key_policy: KeyPolicy,
    /// The enclave's security version that it shall be bound to (`ISVSVN`).
    pub isv_svn: u16,
    /// The processor's security version that it shall be bound to (`CPUSVN`).
    pub cpu_svn: [u8; 16],
    /// The attributes that it shall be bound to (`ATTRIBUTEMASK`).
    pub attribute_mask: Attributes,
    /// What makes it different from others (`KEYID`).
    pub key_id: [u8; 32],
    /// The bits of `MISCSELECT` that it shall be bound to (`MISCMASK`).
    pub misc_mask: u32,
    /// The version of the configuration that it shall be bound to (`CONFIGSVN`).
    pub config_svn: u16,
}

/// The keys of which the simulated processor knows (Intel SDM, volume 3D, "Supported KEYName
/// Values").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum KeyName {
    /// Authenticates tokens of the launch enclave.
    EinitToken = 0,
    /// Provisions the platform.
    Provision = 1,
    /// Seals what was provisioned.
    ProvisionSeal = 2,
    /// Verifies reports that were made for the enclave.
    Report = 3,
    /// Seals data of the enclave's.
    Seal = 4,
}

impl KeyName {
    /// The key with this number.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::EinitToken),
            1 => Some(Self::Provision),
            2 => Some(Self::ProvisionSeal),
            3 => Some(Self::Report),
            4 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// `KEYPOLICY` (Intel SDM, volume 3D, "Layout of KEYPOLICY Field").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPolicy(pub u16);

impl KeyPolicy {
    /// Bound to `MRENCLAVE`.
    pub const MRENCLAVE: u16 = 1 << 0;
    /// Bound to `MRSIGNER`.
    pub const MRSIGNER: u16 = 1 << 1;
    /// Not bound to `ISVPRODID`.
    pub const NO_ISV_PROD_ID: u16 = 1 << 2;
    /// Bound to `CONFIGID` and `CONFIGSVN`.
    pub const CONFIG_ID: u16 = 1 << 3;
    /// Bound to `ISVFAMILYID`.
    pub const ISV_FAMILY_ID: u16 = 1 << 4;
    /// Bound to `ISVEXTPRODID`.
    pub const ISV_EXT_PROD_ID: u16 = 1 << 5;

    /// The bits that only enclaves with key separation and sharing may use.
    pub(super) const OF_KEY_SEPARATION: u16 =
        Self::NO_ISV_PROD_ID | Self::CONFIG_ID | Self::ISV_FAMILY_ID | Self::ISV_EXT_PROD_ID;
    const DEFINED: u16 = Self::MRENCLAVE | Self::MRSIGNER | Self::OF_KEY_SEPARATION;

    /// Whether any of `bits` is set.
    #[must_use]
    pub const fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }
}

mod offset {
    pub const KEY_NAME: usize = 0;
    pub const KEY_POLICY: usize = 2;
    pub const ISV_SVN: usize = 4;
    pub const RESERVED: usize = 6;
    pub const CPU_SVN: usize = 8;
    pub const ATTRIBUTE_MASK: usize = 24;
    pub const KEY_ID: usize = 40;
    pub const MISC_MASK: usize = 72;
    pub const CONFIG_SVN: usize = 76;
    pub const REST: usize = 78;
}

impl KeyRequest {
    /// Size of the structure in bytes.
    pub const SIZE: usize = 512;

    /// The structure as `EGETKEY` reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let fields: [(usize, &[u8]); 8] = [
            (offset::KEY_NAME, &self.key_name.to_le_bytes()),
            (offset::KEY_POLICY, &self.key_policy.0.to_le_bytes()),
            (offset::ISV_SVN, &self.isv_svn.to_le_bytes()),
            (offset::CPU_SVN, &self.cpu_svn),
            (offset::ATTRIBUTE_MASK, &self.attribute_mask.to_bytes()),
            (offset::KEY_ID, &self.key_id),
            (offset::MISC_MASK, &self.misc_mask.to_le_bytes()),
            (offset::CONFIG_SVN, &self.config_svn.to_le_bytes()),
        ];
        for (at, field) in fields {
            put(&mut bytes, at, field);
        }
        bytes
    }

    /// Reads the structure as `EGETKEY` does.
    ///
    /// # Errors
    ///
    /// [`ReservedNotZero`], also for bits of the policy that are not defined.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Self, ReservedNotZero> {
        check_reserved(
            bytes,
            &[offset::RESERVED..offset::CPU_SVN, offset::REST..Self::SIZE],
        )?;
        let key_policy = KeyPolicy(get_u16(bytes, offset::KEY_POLICY));
        if key_policy.has(!KeyPolicy::DEFINED) {
            return Err(ReservedNotZero);
        }
        Ok(Self {
            key_name: get_u16(bytes, offset::KEY_NAME),
            key_policy,
            isv_svn: get_u16(bytes, offset::ISV_SVN),
            cpu_svn: get(bytes, offset::CPU_SVN),
            attribute_mask: Attributes::from_bytes(&get(bytes, offset::ATTRIBUTE_MASK)),
            key_id: get(bytes, offset::KEY_ID),
            misc_mask: get_u32(bytes, offset::MISC_MASK),
            config_svn: get_u16(bytes, offset::CONFIG_SVN),
        })
    }
}
