//! The identity of Intel's quoting enclaves.

use crate::{UnixTime, Validity};

use super::{
    DocumentError, EnclaveReport, Error, Kind,
    document::{IdentityDocument, fresh},
    tcb_info::{Level, enclave_level, enclave_levels},
};

/// Which enclave may sign quotes (Intel PCS API version 4, `EnclaveIdentityV2`).
#[derive(Debug)]
pub(super) struct QeIdentity {
    pub(super) kind: Kind,
    pub(super) evaluation_number: u32,
    pub(super) period: Validity,
    misc_select: ([u8; 4], [u8; 4]),
    attributes: ([u8; 16], [u8; 16]),
    mr_signer: [u8; 32],
    isv_prod_id: u16,
    levels: Vec<Level<u16>>,
}

impl QeIdentity {
    /// Takes the document over, which must be fresh at the time `now`.
    pub(super) fn new(document: IdentityDocument, now: UnixTime) -> Result<Self, DocumentError> {
        if document.version != 2 {
            return Err(DocumentError::Version(document.version));
        }
        let kind = match document.id.as_str() {
            "QE" => Kind::Sgx,
            "TD_QE" => Kind::Tdx,
            _ => return Err(DocumentError::Identifier),
        };
        Ok(Self {
            kind,
            evaluation_number: document.tcb_evaluation_data_number,
            period: fresh(document.issue_date, document.next_update, now)?,
            misc_select: (document.miscselect.0, document.miscselect_mask.0),
            attributes: (document.attributes.0, document.attributes_mask.0),
            mr_signer: document.mrsigner.0,
            isv_prod_id: document.isvprodid,
            levels: enclave_levels(document.tcb_levels.0),
        })
    }

    /// Checks that `report` is that of the quoting enclave; gives the level that its
    /// security version reaches.
    pub(super) fn check(&self, report: &EnclaveReport) -> Result<&Level<u16>, Error> {
        let differs = |what| Err(Error::QeIdentity(what));
        let (value, mask) = &self.misc_select;
        // MISCSELECT is written with the first byte in front, as it stands in memory.
        if !is_masked(&report.misc_select.to_le_bytes(), value, mask) {
            return differs("MISCSELECT");
        }
        let (value, mask) = &self.attributes;
        if !is_masked(&report.attributes, value, mask) {
            return differs("ATTRIBUTES");
        }
        if report.mr_signer != self.mr_signer {
            return differs("MRSIGNER");
        }
        if report.isv_prod_id != self.isv_prod_id {
            return differs("ISVPRODID");
        }
        enclave_level(&self.levels, report.isv_svn).ok_or(Error::QeLevel {
            svn: report.isv_svn,
        })
    }
}

/// Whether `found` is `value` where `mask` has ones.
fn is_masked(found: &[u8], value: &[u8], mask: &[u8]) -> bool {
    let mut bytes = found.iter().zip(value).zip(mask);
    bytes.all(|((found, value), mask)| found & mask == value & mask)
}
