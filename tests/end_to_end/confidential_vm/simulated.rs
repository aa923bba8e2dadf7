//! Drivers whose reports simulated processors make, all of one VM.

use std::sync::{Arc, OnceLock};

use enarx_host_simulator::{
    sgx::Machine,
    snp::{GuestPolicy, ReportRequest, SecureProcessor, Vmpl},
    tdx::TrustDomain,
};
use fuser::Errno;

use super::configfs::{Blobs, Driver, Order};
use crate::harness::shared;

/// The launch measurement of the VM, with either technology.
pub const MEASUREMENT: [u8; 48] = [0xC5; 48];

/// The registers of the VM's kernel.
pub const RTMRS: [[u8; 48]; 4] = [[0xA0; 48], [0xA1; 48], [0xA2; 48], [0xA3; 48]];

/// `sev_guest`, whose host hands out certificates.
pub fn sev_guest() -> Driver {
    Driver {
        name: "sev_guest",
        privilege_floor: Some(0),
        report: Box::new(|order| {
            Ok(Blobs {
                outblob: snp_report(order)?,
                auxblob: certificate_table(),
            })
        }),
    }
}

/// `tdx_guest`.
pub fn tdx_guest() -> Driver {
    Driver {
        name: "tdx_guest",
        privilege_floor: None,
        report: Box::new(|order| {
            let report_data = order.inblob.as_slice().try_into();
            let domain = TrustDomain {
                attributes: TrustDomain::SEPT_VE_DISABLE,
                xfam: 0xe7,
                mr_td: MEASUREMENT,
                mr_config_id: [0; 48],
                mr_owner: [0; 48],
                mr_owner_config: [0; 48],
                rtmrs: RTMRS,
            };
            let report =
                machine().report_trust_domain(&domain, report_data.map_err(|_| Errno::EINVAL)?);
            let quote = machine().quote_trust_domain(&report);
            Ok(Blobs {
                outblob: quote.map_err(|_| Errno::EIO)?,
                auxblob: Vec::new(),
            })
        }),
    }
}

pub fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| Machine::open(&shared().join("state/enarx/simulator")).unwrap())
}

fn processor() -> &'static Arc<SecureProcessor> {
    static PROCESSOR: OnceLock<Arc<SecureProcessor>> = OnceLock::new();
    PROCESSOR.get_or_init(|| {
        // The one that the command makes too, since that takes seconds.
        let directory = shared().join("state/enarx/simulator");
        Arc::new(SecureProcessor::open(&directory).unwrap())
    })
}

fn snp_report(order: &Order) -> Result<Vec<u8>, Errno> {
    let report_data = order.inblob.as_slice().try_into();
    let report = processor().report(&ReportRequest {
        report_data: report_data.map_err(|_| Errno::EINVAL)?,
        measurement: MEASUREMENT,
        host_data: [0; 32],
        policy: GuestPolicy::STANDARD,
        vmpl: [Vmpl::Zero, Vmpl::One, Vmpl::Two, Vmpl::Three][order.privlevel as usize],
        report_id: [0x1D; 32],
        identity: None,
    });
    Ok(report.map_err(|_| Errno::EIO)?.to_vec())
}

/// The table of certificates (*Guest-Hypervisor Communication Block Standardization*, AMD
/// #56421): GUID, offset and length of each, an entry of zeros, and the certificates.
pub fn certificate_table() -> Vec<u8> {
    let certificates = processor().certificates();
    let entries = [
        (
            0x63da_758d_e664_4564_adc5_f4b9_3be8_accd_u128,
            &certificates.vcek,
        ),
        (0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782, &certificates.ask),
        (0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae, &certificates.ark),
    ];
    let (mut table, mut rest) = (Vec::new(), Vec::<u8>::new());
    for (identifier, certificate) in entries {
        let offset = 24 * (entries.len() + 1) + rest.len();
        table.extend(identifier.to_be_bytes());
        table.extend((offset as u32).to_le_bytes());
        table.extend((certificate.len() as u32).to_le_bytes());
        rest.extend(certificate);
    }
    table.extend([0; 24]);
    table.extend(rest);
    table
}
