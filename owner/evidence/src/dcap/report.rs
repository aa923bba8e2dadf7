//! What a quote says: an enclave's or a TD's report.

use core::fmt;

use crate::bytes::{Bytes, Truncated};

/// Whose report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An SGX enclave's.
    Sgx,
    /// A TDX trust domain's.
    Tdx,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Sgx => "SGX",
            Self::Tdx => "TDX",
        })
    }
}

/// The report in a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// An SGX enclave's.
    Sgx(Box<EnclaveReport>),
    /// A TDX trust domain's.
    Tdx(Box<TdReport>),
}

impl Body {
    /// Whose report it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sgx(_) => Kind::Sgx,
            Self::Tdx(_) => Kind::Tdx,
        }
    }

    /// Whether the host may read and change what runs inside.
    #[must_use]
    pub fn debug(&self) -> bool {
        match self {
            // ATTRIBUTES.DEBUG (Intel SDM, volume 3D, structure ATTRIBUTES).
            Self::Sgx(report) => report.attributes[0] & 0x02 != 0,
            // The whole TUD byte: any of its bits makes the TD untrusted (Intel TDX DCAP
            // Quoting Library API, appendix A.3.4).
            Self::Tdx(report) => report.td_attributes[0] != 0,
        }
    }

    /// What the enclave or TD itself put into the report.
    #[must_use]
    pub fn report_data(&self) -> &[u8; 64] {
        match self {
            Self::Sgx(report) => &report.report_data,
            Self::Tdx(report) => &report.report_data,
        }
    }
}

/// An SGX report body (*Intel SGX ECDSA QuoteGenReference API*, appendix A.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnclaveReport {
    /// CPUSVN.
    pub cpu_svn: [u8; 16],
    /// MISCSELECT.
    pub misc_select: u32,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: [u8; 16],
    /// ATTRIBUTES: flags and XFRM, both little-endian.
    pub attributes: [u8; 16],
    /// MRENCLAVE.
    pub mr_enclave: [u8; 32],
    /// MRSIGNER.
    pub mr_signer: [u8; 32],
    /// CONFIGID.
    pub config_id: [u8; 64],
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// CONFIGSVN.
    pub config_svn: u16,
    /// ISVFAMILYID.
    pub isv_family_id: [u8; 16],
    /// REPORTDATA.
    pub report_data: [u8; 64],
}

impl EnclaveReport {
    pub(super) const BYTES: usize = 384;

    pub(super) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Truncated> {
        let cpu_svn = bytes.array()?;
        let misc_select = bytes.u32()?;
        bytes.take(12)?;
        let isv_ext_prod_id = bytes.array()?;
        let attributes = bytes.array()?;
        let mr_enclave = bytes.array()?;
        bytes.take(32)?;
        let mr_signer = bytes.array()?;
        bytes.take(32)?;
        let config_id = bytes.array()?;
        let isv_prod_id = bytes.u16()?;
        let isv_svn = bytes.u16()?;
        let config_svn = bytes.u16()?;
        bytes.take(42)?;
        Ok(Self {
            cpu_svn,
            misc_select,
            isv_ext_prod_id,
            attributes,
            mr_enclave,
            mr_signer,
            config_id,
            isv_prod_id,
            isv_svn,
            config_svn,
            isv_family_id: bytes.array()?,
            report_data: bytes.array()?,
        })
    }
}

/// A TD report body, version 1.0 or 1.5 (*Intel TDX DCAP Quoting Library API*, appendix A.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdReport {
    /// TEE_TCB_SVN.
    pub tee_tcb_svn: [u8; 16],
    /// MRSEAM.
    pub mr_seam: [u8; 48],
    /// MRSIGNERSEAM.
    pub mr_signer_seam: [u8; 48],
    /// SEAMATTRIBUTES.
    pub seam_attributes: [u8; 8],
    /// TDATTRIBUTES.
    pub td_attributes: [u8; 8],
    /// XFAM.
    pub xfam: [u8; 8],
    /// MRTD.
    pub mr_td: [u8; 48],
    /// MRCONFIGID.
    pub mr_config_id: [u8; 48],
    /// MROWNER.
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG.
    pub mr_owner_config: [u8; 48],
    /// RTMR 0 to 3.
    pub rtmrs: [[u8; 48]; 4],
    /// REPORTDATA.
    pub report_data: [u8; 64],
    /// What only version 1.5 has.
    pub version_1_5: Option<TdReport15>,
}

/// The fields that TD report version 1.5 adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdReport15 {
    /// TEE_TCB_SVN2: that of the TDX module that runs now.
    pub tee_tcb_svn_2: [u8; 16],
    /// MRSERVICETD.
    pub mr_service_td: [u8; 48],
}

impl TdReport {
    pub(super) const BYTES_1_0: usize = 584;
    pub(super) const BYTES_1_5: usize = 648;

    pub(super) fn read(bytes: &mut Bytes<'_>, version_1_5: bool) -> Result<Self, Truncated> {
        Ok(Self {
            tee_tcb_svn: bytes.array()?,
            mr_seam: bytes.array()?,
            mr_signer_seam: bytes.array()?,
            seam_attributes: bytes.array()?,
            td_attributes: bytes.array()?,
            xfam: bytes.array()?,
            mr_td: bytes.array()?,
            mr_config_id: bytes.array()?,
            mr_owner: bytes.array()?,
            mr_owner_config: bytes.array()?,
            rtmrs: [
                bytes.array()?,
                bytes.array()?,
                bytes.array()?,
                bytes.array()?,
            ],
            report_data: bytes.array()?,
            version_1_5: if version_1_5 {
                Some(TdReport15 {
                    tee_tcb_svn_2: bytes.array()?,
                    mr_service_td: bytes.array()?,
                })
            } else {
                None
            },
        })
    }
}
