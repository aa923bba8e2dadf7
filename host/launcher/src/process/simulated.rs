//! Evidence of Keeps that have no TEE: reports of a simulated AMD secure processor.

use std::error::Error;
use std::sync::Arc;

use enarx_host_simulator::snp::{GuestPolicy, ReportRequest, SecureProcessor, Vmpl};
use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::Digest;

use crate::device::EvidenceSource;

/// What a simulated secure processor knows of one Keep.
pub(crate) struct SimulatedReports {
    pub processor: Arc<SecureProcessor>,
    pub measurement: Digest,
    pub host_data: [u8; 32],
    pub report_id: [u8; 32],
}

impl EvidenceSource for SimulatedReports {
    fn prepare(&self) {
        self.processor.prepare();
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Result<Vec<u8>, Box<dyn Error>> {
        let report = self.processor.report(&ReportRequest {
            report_data: *report_data,
            measurement: self.measurement,
            host_data: self.host_data,
            policy: GuestPolicy::STANDARD,
            vmpl: Vmpl::Zero,
            report_id: self.report_id,
        })?;
        Ok(report.to_vec())
    }
}
