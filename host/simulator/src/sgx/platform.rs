//! What the simulated platform is.

/// Family, model and kind of platform (`FMSPC`): letters, which no platform of Intel's has.
pub(super) const FMSPC: [u8; 6] = *b"ENARXS";

/// The provisioning certification enclave (`PCE-ID`).
pub(super) const PCE_ID: [u8; 2] = [0, 0];

/// Security version of the provisioning certification enclave.
pub(super) const PCE_SVN: u16 = 13;

/// Security versions of the 16 components of the TCB.
pub(super) const COMPONENTS: [u8; 16] = [12, 12, 3, 3, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The processor's security version: of the components, each by its own.
pub(super) const CPU_SVN: [u8; 16] = COMPONENTS;
