//! Evidence of Keeps that have no TEE, by the software secure processor.

use std::error::Error;
use std::sync::Arc;

use enarx_host_simulator::snp::{GuestPolicy, ReportRequest, SecureProcessor, Vmpl};
use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::{Digest, LaunchPage};

use crate::backend::{Endorsement, EndorsementKind, LaunchRequest};
use crate::device::{Device, EvidenceSource};
use crate::{LaunchError, Simulator};

/// The software secure processor that `request` asks for.
///
/// # Errors
///
/// [`LaunchError::NoEvidenceSource`] if it asks for none.
pub(crate) fn processor<'a>(
    request: &LaunchRequest<'a>,
) -> Result<&'a Arc<SecureProcessor>, LaunchError> {
    match request.simulator {
        Some(Simulator::SecureProcessor(processor)) => Ok(processor),
        _ => Err(LaunchError::NoEvidenceSource),
    }
}

/// The simulated TEE of one Keep that was launched with `page` and measures `measurement`.
///
/// # Errors
///
/// [`LaunchError::Random`] when the system gives no random bytes.
pub(crate) fn device(
    request: &LaunchRequest<'_>,
    processor: &Arc<SecureProcessor>,
    page: &LaunchPage,
    measurement: Digest,
) -> Result<Device, LaunchError> {
    let mut report_id = [0; 32];
    aws_lc_rs::rand::fill(&mut report_id).map_err(|_| LaunchError::Random)?;
    Ok(Device {
        launch_page: page.encode(),
        source: Box::new(SimulatedReports {
            processor: Arc::clone(processor),
            measurement,
            host_data: request.host_data,
            report_id,
        }),
    })
}

/// What the evidence of `processor` is verified with.
pub(crate) fn endorsements(processor: &SecureProcessor) -> Vec<Endorsement> {
    let certificates = processor.certificates();
    [
        (EndorsementKind::SnpVcek, &certificates.vcek),
        (EndorsementKind::SnpAsk, &certificates.ask),
        (EndorsementKind::SnpArk, &certificates.ark),
    ]
    .map(|(kind, certificate)| Endorsement {
        kind,
        bytes: certificate.clone(),
    })
    .to_vec()
}

/// What a simulated secure processor knows of one Keep.
struct SimulatedReports {
    processor: Arc<SecureProcessor>,
    measurement: Digest,
    host_data: [u8; 32],
    report_id: [u8; 32],
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
