//! The `cvm` backend: a Keep in the confidential VM that this machine is.
//!
//! The Keep is the confined process of the backend [`process`], and the
//! evidence is the VM's own, over the Keep's claims. So the VM is trusted as a whole, beside the
//! Keep: its firmware, its kernel, whatever its image starts, and whoever may be root in it. What
//! it keeps out is the machine around it. Owners are told so, and must name the VM.

mod tsm;

use std::error::Error;
use std::path::Path;

use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::{EvidenceFormat, LaunchPage, Platform};

pub use tsm::{TsmError, TsmProvider, TsmReport, TsmReports};

use crate::backend::{Backend, Endorsement, EndorsementKind, LaunchRequest};
use crate::child;
use crate::device::{Device, EvidenceSource};
use crate::keep::LaunchedKeep;
use crate::process::{self, image::ImageStore};
use crate::{Isolation, LaunchError};

/// Runs Keeps as child processes, with evidence of the confidential VM around them.
#[derive(Debug)]
pub struct CvmBackend {
    images: ImageStore,
    reports: TsmReports,
}

impl CvmBackend {
    /// A backend that may keep executable Keep images in the private directory
    /// `image_cache`; without one, each backend copies them into memory once.
    #[must_use]
    pub fn new(image_cache: Option<&Path>) -> Self {
        Self {
            images: ImageStore::new(image_cache),
            reports: TsmReports::of_this_machine(),
        }
    }
}

impl Backend for CvmBackend {
    fn platform(&self) -> Platform {
        Platform::Cvm
    }

    fn launch(&self, request: &LaunchRequest<'_>) -> Result<LaunchedKeep, LaunchError> {
        if request.simulator.is_some() {
            return Err(LaunchError::NoSimulatedVm);
        }
        if request.memory_bytes < LaunchRequest::LEAST_MEMORY {
            return Err(LaunchError::MemoryTooSmall(request.memory_bytes));
        }
        // Tells the format of what the Keep will get, and comes with the certificates.
        let first = self.reports.report(&[0; REPORT_DATA_SIZE]);
        let first = first.map_err(LaunchError::Tsm)?;
        let page = LaunchPage {
            evidence: first.provider.format(),
            ..enarx_wire_launch::launch_page(Platform::Cvm, request.image, request.memory())
        };
        let device = Device {
            launch_page: page.encode(),
            source: Box::new(ReportsOfVm {
                reports: self.reports.clone(),
                provider: first.provider,
            }),
        };
        let image = self.images.executable(request.image)?;
        let begun = process::begin(request, &image, process::namespaces(request));
        let started = begun.and_then(|process| process.finish(Some(process::served(device))));
        // A Keep that could open what its user can would have the evidence of its neighbours.
        let started = started.map_err(|error| match child::not_permitted(&error) {
            Some(reason) => LaunchError::Unconfined(reason),
            None => error,
        })?;
        Ok(LaunchedKeep {
            channel: started.channel,
            endorsements: endorsements(first),
            isolation: Isolation::Namespaces,
            process: started.process,
        })
    }
}

/// What the VM's host gave with a report for its verification, if it gave anything.
fn endorsements(report: TsmReport) -> Vec<Endorsement> {
    match report.provider {
        TsmProvider::SevGuest if !report.auxiliary.is_empty() => vec![Endorsement {
            kind: EndorsementKind::SnpCertificateTable,
            bytes: report.auxiliary,
        }],
        // A quote carries its own certificates, and owners fetch the rest from Intel.
        TsmProvider::SevGuest | TsmProvider::TdxGuest => Vec::new(),
    }
}

/// The evidence of one Keep.
struct ReportsOfVm {
    reports: TsmReports,
    /// Who made the reports when the Keep was told which format they have.
    provider: TsmProvider,
}

impl EvidenceSource for ReportsOfVm {
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Result<Vec<u8>, Box<dyn Error>> {
        let report = self.reports.report(report_data)?;
        if report.provider == self.provider {
            Ok(report.evidence)
        } else {
            Err("the VM's reports have another format than when the Keep was started".into())
        }
    }
}

impl TsmProvider {
    /// The format of its reports.
    #[must_use]
    pub const fn format(self) -> EvidenceFormat {
        match self {
            Self::SevGuest => EvidenceFormat::SnpReport,
            Self::TdxGuest => EvidenceFormat::TdxQuote,
        }
    }
}
