//! Reports: what an enclave says to another on the same machine.

use super::{Attributes, EnclaveIdentity};
use crate::fields::{get, get_u16, get_u32, put};

/// An enclave's report (Intel SDM, volume 3D, "Layout of REPORT").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The processor's security version (`CPUSVN`).
    pub cpu_svn: [u8; 16],
    /// Whose report it is.
    pub enclave: EnclaveIdentity,
    /// What the enclave itself says (`REPORTDATA`).
    pub report_data: [u8; 64],
    /// What makes the key of the code different from others (`KEYID`).
    pub key_id: [u8; 32],
    /// Authentication code under the target's report key (`MAC`).
    pub mac: [u8; 16],
}

mod offset {
    pub const CPU_SVN: usize = 0;
    pub const MISC_SELECT: usize = 16;
    pub const ISV_EXT_PROD_ID: usize = 32;
    pub const ATTRIBUTES: usize = 48;
    pub const MRENCLAVE: usize = 64;
    pub const MRSIGNER: usize = 128;
    pub const CONFIG_ID: usize = 192;
    pub const ISV_PROD_ID: usize = 256;
    pub const ISV_SVN: usize = 258;
    pub const CONFIG_SVN: usize = 260;
    pub const ISV_FAMILY_ID: usize = 304;
    pub const REPORT_DATA: usize = 320;
    pub const KEY_ID: usize = 384;
    pub const MAC: usize = 416;
}

impl Report {
    /// Size of the structure in bytes.
    pub const SIZE: usize = 432;

    /// Size in bytes of the part that the authentication code covers, which is also what
    /// quotes carry.
    pub const BODY_SIZE: usize = 384;

    /// The structure as `EREPORT` writes it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let enclave = &self.enclave;
        let fields: [(usize, &[u8]); 14] = [
            (offset::CPU_SVN, &self.cpu_svn),
            (offset::MISC_SELECT, &enclave.misc_select.to_le_bytes()),
            (offset::ISV_EXT_PROD_ID, &enclave.isv_ext_prod_id),
            (offset::ATTRIBUTES, &enclave.attributes.to_bytes()),
            (offset::MRENCLAVE, &enclave.mrenclave),
            (offset::MRSIGNER, &enclave.mrsigner),
            (offset::CONFIG_ID, &enclave.config_id),
            (offset::ISV_PROD_ID, &enclave.isv_prod_id.to_le_bytes()),
            (offset::ISV_SVN, &enclave.isv_svn.to_le_bytes()),
            (offset::CONFIG_SVN, &enclave.config_svn.to_le_bytes()),
            (offset::ISV_FAMILY_ID, &enclave.isv_family_id),
            (offset::REPORT_DATA, &self.report_data),
            (offset::KEY_ID, &self.key_id),
            (offset::MAC, &self.mac),
        ];
        for (at, field) in fields {
            put(&mut bytes, at, field);
        }
        bytes
    }

    /// Reads the structure; its reserved bytes mean nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        Self {
            cpu_svn: get(bytes, offset::CPU_SVN),
            enclave: EnclaveIdentity {
                mrenclave: get(bytes, offset::MRENCLAVE),
                mrsigner: get(bytes, offset::MRSIGNER),
                attributes: Attributes::from_bytes(&get(bytes, offset::ATTRIBUTES)),
                misc_select: get_u32(bytes, offset::MISC_SELECT),
                isv_prod_id: get_u16(bytes, offset::ISV_PROD_ID),
                isv_svn: get_u16(bytes, offset::ISV_SVN),
                config_id: get(bytes, offset::CONFIG_ID),
                config_svn: get_u16(bytes, offset::CONFIG_SVN),
                isv_ext_prod_id: get(bytes, offset::ISV_EXT_PROD_ID),
                isv_family_id: get(bytes, offset::ISV_FAMILY_ID),
            },
            report_data: get(bytes, offset::REPORT_DATA),
            key_id: get(bytes, offset::KEY_ID),
            mac: get(bytes, offset::MAC),
        }
    }
}
