//! A processor with the fuses of a simulated machine.

use super::enclave::{Hardware, REPORT_DATA_SIZE, Refusal};
use super::{EnclaveIdentity, Fuses, KEY_SIZE, KeyRequest, Report, TargetInfo};

/// Executes EREPORT and EGETKEY for one enclave after the other.
#[derive(Debug)]
pub struct Processor {
    fuses: Fuses,
    /// `CR_REPORT_KEYID`: drawn when the processor starts.
    key_id: [u8; 32],
}

impl Processor {
    pub(super) const fn new(fuses: Fuses, key_id: [u8; 32]) -> Self {
        Self { fuses, key_id }
    }
}

impl Hardware for Processor {
    fn report(
        &self,
        identity: &EnclaveIdentity,
        target_info: &[u8; TargetInfo::SIZE],
        report_data: &[u8; REPORT_DATA_SIZE],
    ) -> Result<[u8; Report::SIZE], Refusal> {
        let target = TargetInfo::from_bytes(target_info).map_err(|_| Refusal::GeneralProtection)?;
        Ok(self
            .fuses
            .ereport(identity, &target, report_data, self.key_id))
    }

    fn key(
        &self,
        identity: &EnclaveIdentity,
        key_request: &[u8; KeyRequest::SIZE],
    ) -> Result<[u8; KEY_SIZE], Refusal> {
        let request =
            KeyRequest::from_bytes(key_request).map_err(|_| Refusal::GeneralProtection)?;
        self.fuses.egetkey(identity, &request).map_err(|error| {
            error
                .code()
                .map_or(Refusal::GeneralProtection, Refusal::Status)
        })
    }
}
