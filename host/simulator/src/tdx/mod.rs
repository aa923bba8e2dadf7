//! The software TDX module of an Intel machine: trust domains and their reports.
//!
//! The keys and the quoting enclave for trust domains are those of
//! [`sgx::Machine`](crate::sgx::Machine), as both technologies of a real machine have them of
//! one platform. Layouts follow *Intel Trust Domain Extensions Module Architecture
//! Specification: Application Binary Interface Reference*.

mod report;

pub use report::{REPORT_DATA_SIZE, TD_REPORT_SIZE};

pub(crate) use report::{quoted, report, sha384};

/// What the TDX module knows of a trust domain (`TDINFO_STRUCT`), without what it does not
/// have here: service domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustDomain {
    /// What may be done with it (`ATTRIBUTES`), of which the constants here name some bits.
    pub attributes: u64,
    /// The processor state that it uses, as in XCR0 (`XFAM`).
    pub xfam: u64,
    /// Digest of how it was built (`MRTD`).
    pub mr_td: [u8; 48],
    /// What the host said at launch (`MRCONFIGID`).
    pub mr_config_id: [u8; 48],
    /// Whose it is, according to the host (`MROWNER`).
    pub mr_owner: [u8; 48],
    /// What the host said of the owner's configuration (`MROWNERCONFIG`).
    pub mr_owner_config: [u8; 48],
    /// What was measured since the launch (`RTMR0` to `RTMR3`).
    pub rtmrs: [[u8; 48]; 4],
}

impl TrustDomain {
    /// The host may look into it.
    pub const DEBUG: u64 = 1 << 0;
    /// Pages that were not accepted stop it, rather than being told to it.
    pub const SEPT_VE_DISABLE: u64 = 1 << 28;

    /// The register that is left to applications, RTMR3.
    pub const APPLICATION: usize = 3;

    /// `TDG.MR.RTMR.EXTEND`: folds `digest` into a register.
    ///
    /// # Panics
    ///
    /// When there is no such register.
    pub fn extend(&mut self, register: usize, digest: &[u8; 48]) {
        let value = &mut self.rtmrs[register];
        *value = sha384(&[&value[..], digest].concat());
    }
}

/// Security versions of the TDX module (`TEE_TCB_SVN`): its own, its major version, and that
/// of what loads it.
pub(crate) const MODULE_SVN: [u8; 16] = [5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What stands for the module, and is hashed (`MRSEAM`).
pub(crate) const MODULE: &[u8] = b"Enarx Simulator TDX module";

/// What stands for the key that signed it, and is hashed (`MRSIGNERSEAM`). Intel's own is
/// told as zeros.
pub(crate) const MODULE_SIGNER: &[u8] = b"Enarx Simulator TDX module signer";
