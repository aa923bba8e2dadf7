//! Evidence of Keeps that have no TEE, by the software secure processor or the software TDX module.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use enarx_host_simulator::sgx::Machine;
use enarx_host_simulator::snp::{GuestIdentity, GuestPolicy, ReportRequest, SecureProcessor, Vmpl};
use enarx_host_simulator::tdx::TrustDomain;
use enarx_wire_hostcall::attestation::{DIGEST_SIZE, REPORT_DATA_SIZE};
use enarx_wire_launch::{Digest, LaunchPage, Platform, SnpSignedIdentity};

use crate::backend::{Endorsement, EndorsementKind, LaunchRequest};
use crate::device::{Device, EvidenceSource};
use crate::{LaunchError, Simulator};

/// What gives a Keep's evidence.
pub(crate) enum Simulated {
    /// SEV-SNP reports.
    SecureProcessor(Arc<SecureProcessor>),
    /// TDX quotes.
    TdxModule(Arc<Machine>),
}

impl Simulated {
    /// What `request` asks for, for a Keep on `platform`.
    ///
    /// # Errors
    ///
    /// [`LaunchError::NoEvidenceSource`] if it asks for none, or for another one, or
    /// [`LaunchError::SimulatedMachine`].
    pub(crate) fn of(request: &LaunchRequest<'_>, platform: Platform) -> Result<Self, LaunchError> {
        match (request.simulator, platform) {
            (Some(Simulator::IntelMachine { directory, .. }), Platform::Tdx) => {
                Ok(Self::TdxModule(Arc::new(open(directory)?)))
            }
            (Some(Simulator::SecureProcessor(processor)), platform)
                if platform != Platform::Tdx =>
            {
                Ok(Self::SecureProcessor(Arc::clone(processor)))
            }
            _ => Err(LaunchError::NoEvidenceSource),
        }
    }

    /// The TEE of one Keep that was launched with `page` and measures `measurement`, for which
    /// `identity` vouches on SEV-SNP.
    ///
    /// # Errors
    ///
    /// [`LaunchError::Random`] when the system gives no random bytes.
    pub(crate) fn device(
        &self,
        request: &LaunchRequest<'_>,
        page: &LaunchPage,
        measurement: Digest,
        identity: Option<&SnpSignedIdentity>,
    ) -> Result<Device, LaunchError> {
        let source: Box<dyn EvidenceSource> = match self {
            Self::SecureProcessor(processor) => {
                let mut report_id = [0; 32];
                aws_lc_rs::rand::fill(&mut report_id).map_err(|_| LaunchError::Random)?;
                Box::new(SimulatedReports {
                    processor: Arc::clone(processor),
                    measurement,
                    host_data: request.host_data,
                    report_id,
                    identity: identity.map(|signed| GuestIdentity {
                        family: signed.identity.family,
                        image: signed.identity.image,
                        security_version: signed.identity.security_version,
                        key_digest: signed.key.digest(),
                        author_key_digest: signed.author.map(|(author, _)| author.digest()),
                    }),
                })
            }
            Self::TdxModule(machine) => Box::new(SimulatedQuotes {
                machine: Arc::clone(machine),
                domain: Mutex::new(trust_domain(measurement, request.host_data)),
            }),
        };
        Ok(Device {
            launch_page: page.encode(),
            source,
        })
    }

    /// What the evidence is verified with.
    pub(crate) fn endorsements(&self) -> Vec<Endorsement> {
        match self {
            Self::SecureProcessor(processor) => {
                let certificates = processor.certificates();
                listed([
                    (EndorsementKind::SnpVcek, &certificates.vcek),
                    (EndorsementKind::SnpAsk, &certificates.ask),
                    (EndorsementKind::SnpArk, &certificates.ark),
                ])
            }
            Self::TdxModule(machine) => {
                let found = machine.endorsements();
                machine_endorsements(machine, &found.tdx_tcb_info, &found.tdx_qe_identity)
            }
        }
    }
}

/// Opens the simulated Intel machine in `directory`; makes it if there is none.
///
/// # Errors
///
/// [`LaunchError::SimulatedMachine`].
pub(crate) fn open(directory: &Path) -> Result<Machine, LaunchError> {
    Machine::open(directory).map_err(LaunchError::SimulatedMachine)
}

/// What a simulated Intel machine's quotes are verified with, by the documents of one technology.
pub(crate) fn machine_endorsements(
    machine: &Machine,
    tcb_info: &Vec<u8>,
    qe_identity: &Vec<u8>,
) -> Vec<Endorsement> {
    let found = machine.endorsements();
    listed([
        (EndorsementKind::DcapRoot, &found.root),
        (EndorsementKind::DcapTcbSigning, &found.tcb_signing),
        (EndorsementKind::DcapTcbInfo, tcb_info),
        (EndorsementKind::DcapQeIdentity, qe_identity),
        (
            EndorsementKind::DcapRootRevocations,
            &found.root_revocations,
        ),
        (EndorsementKind::DcapPckRevocations, &found.pck_revocations),
    ])
}

fn listed<const COUNT: usize>(all: [(EndorsementKind, &Vec<u8>); COUNT]) -> Vec<Endorsement> {
    all.map(|(kind, bytes)| Endorsement {
        kind,
        bytes: bytes.clone(),
    })
    .to_vec()
}

/// A trust domain as Keeps are launched in: x87, SSE and AVX, and no word to it about pages that the
/// host takes away.
fn trust_domain(measurement: Digest, host_data: [u8; 32]) -> TrustDomain {
    let mut mr_config_id = [0; 48];
    mr_config_id[..host_data.len()].copy_from_slice(&host_data);
    TrustDomain {
        attributes: TrustDomain::SEPT_VE_DISABLE,
        xfam: 0b111,
        mr_td: measurement,
        mr_config_id,
        mr_owner: [0; 48],
        mr_owner_config: [0; 48],
        rtmrs: [[0; 48]; 4],
    }
}

/// What a simulated TDX module knows of one Keep.
struct SimulatedQuotes {
    machine: Arc<Machine>,
    domain: Mutex<TrustDomain>,
}

impl EvidenceSource for SimulatedQuotes {
    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Result<Vec<u8>, Box<dyn Error>> {
        let domain = *self.domain.lock().unwrap_or_else(PoisonError::into_inner);
        let report = self.machine.report_trust_domain(&domain, report_data);
        Ok(self.machine.quote_trust_domain(&report)?)
    }

    fn extend(&self, digest: &[u8; DIGEST_SIZE]) {
        let mut domain = self.domain.lock().unwrap_or_else(PoisonError::into_inner);
        domain.extend(TrustDomain::APPLICATION, digest);
    }
}

/// What a simulated secure processor knows of one Keep.
struct SimulatedReports {
    processor: Arc<SecureProcessor>,
    measurement: Digest,
    host_data: [u8; 32],
    report_id: [u8; 32],
    identity: Option<GuestIdentity>,
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
            identity: self.identity,
        })?;
        Ok(report.to_vec())
    }
}
