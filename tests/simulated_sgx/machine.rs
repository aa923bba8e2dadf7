//! The host's side: machines, and an enclave on them.

use std::sync::OnceLock;

use enarx_host_simulator::sgx::{Attributes, EnclaveIdentity, Endorsements, Machine, TargetInfo};
use enarx_owner_evidence::UnixTime;
use tempfile::TempDir;

pub const MRENCLAVE: [u8; 32] = [0x3E; 32];
pub const HOST_DATA: [u8; 32] = [0xC0; 32];
pub const REPORT_DATA: [u8; 64] = [0xDA; 64];

/// The machine of most tests.
pub fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(make)
}

/// A machine of somebody else, with a root of its own.
pub fn other_machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(make)
}

fn make() -> Machine {
    let directory = TempDir::new().unwrap();
    // All that it needs of its state is read at once.
    Machine::open(directory.path()).unwrap()
}

pub fn now() -> UnixTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime(now.unwrap().as_secs())
}

/// A Keep's enclave, launched with [`HOST_DATA`].
pub fn enclave() -> EnclaveIdentity {
    let mut config_id = [0; 64];
    config_id[..32].copy_from_slice(&HOST_DATA);
    EnclaveIdentity {
        mrenclave: MRENCLAVE,
        mrsigner: [0x51; 32],
        attributes: Attributes {
            flags: Attributes::INIT | Attributes::MODE64BIT | Attributes::KSS,
            xfrm: 7,
        },
        misc_select: 0,
        isv_prod_id: 0,
        isv_svn: 0,
        config_id,
        config_svn: 0,
        isv_ext_prod_id: [0; 16],
        isv_family_id: [0; 16],
    }
}

/// Has the enclave report, and the machine quote it.
pub fn quote(machine: &Machine, enclave: &EnclaveIdentity, report_data: &[u8; 64]) -> Vec<u8> {
    let target = TargetInfo::from_bytes(&machine.quoting_target()).unwrap();
    let report = machine
        .fuses()
        .ereport(enclave, &target, report_data, [0x1D; 32]);
    machine.quote(&report).unwrap()
}

/// The parts of the collateral with their names.
pub fn parts(endorsements: &mut Endorsements) -> [(&'static str, &mut Vec<u8>); 6] {
    [
        ("root", &mut endorsements.root),
        ("TCB signing certificate", &mut endorsements.tcb_signing),
        ("TCB info", &mut endorsements.tcb_info),
        ("QE identity", &mut endorsements.qe_identity),
        ("root revocations", &mut endorsements.root_revocations),
        ("PCK revocations", &mut endorsements.pck_revocations),
    ]
}
