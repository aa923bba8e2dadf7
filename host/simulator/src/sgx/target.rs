//! For whom a report is made.

use super::{Attributes, EnclaveIdentity, ReservedNotZero};
use crate::fields::{check_reserved, get, get_u16, get_u32, put};

/// The enclave that shall be able to verify a report (Intel SDM, volume 3D, "Layout of
/// TARGETINFO Data Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetInfo {
    /// Its `MRENCLAVE` (`MEASUREMENT`).
    pub mrenclave: [u8; 32],
    /// Its attributes.
    pub attributes: Attributes,
    /// Its `CONFIGSVN`.
    pub config_svn: u16,
    /// Its `MISCSELECT`.
    pub misc_select: u32,
    /// Its `CONFIGID`.
    pub config_id: [u8; 64],
}

mod offset {
    pub const MEASUREMENT: usize = 0;
    pub const ATTRIBUTES: usize = 32;
    /// No enclave of this machine has CET enabled, so the byte counts as reserved.
    pub const CET_ATTRIBUTES: usize = 48;
    pub const CONFIG_SVN: usize = 50;
    pub const MISC_SELECT: usize = 52;
    pub const RESERVED: usize = 56;
    pub const CONFIG_ID: usize = 64;
    pub const REST: usize = 128;
}

impl TargetInfo {
    /// Size of the structure in bytes.
    pub const SIZE: usize = 512;

    /// The structure that names `enclave`.
    #[must_use]
    pub fn of(enclave: &EnclaveIdentity) -> Self {
        Self {
            mrenclave: enclave.mrenclave,
            attributes: enclave.attributes,
            config_svn: enclave.config_svn,
            misc_select: enclave.misc_select,
            config_id: enclave.config_id,
        }
    }

    /// The structure as `EREPORT` reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, offset::MEASUREMENT, &self.mrenclave);
        put(&mut bytes, offset::ATTRIBUTES, &self.attributes.to_bytes());
        put(
            &mut bytes,
            offset::CONFIG_SVN,
            &self.config_svn.to_le_bytes(),
        );
        put(
            &mut bytes,
            offset::MISC_SELECT,
            &self.misc_select.to_le_bytes(),
        );
        put(&mut bytes, offset::CONFIG_ID, &self.config_id);
        bytes
    }

    /// Reads the structure as `EREPORT` does.
    ///
    /// # Errors
    ///
    /// [`ReservedNotZero`].
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Self, ReservedNotZero> {
        check_reserved(
            bytes,
            &[
                offset::CET_ATTRIBUTES..offset::CONFIG_SVN,
                offset::RESERVED..offset::CONFIG_ID,
                offset::REST..Self::SIZE,
            ],
        )?;
        Ok(Self {
            mrenclave: get(bytes, offset::MEASUREMENT),
            attributes: Attributes::from_bytes(&get(bytes, offset::ATTRIBUTES)),
            config_svn: get_u16(bytes, offset::CONFIG_SVN),
            misc_select: get_u32(bytes, offset::MISC_SELECT),
            config_id: get(bytes, offset::CONFIG_ID),
        })
    }
}
