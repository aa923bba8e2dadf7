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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sgx::{Attributes, Machine};

    fn identity() -> EnclaveIdentity {
        EnclaveIdentity {
            mrenclave: [1; 32],
            mrsigner: [2; 32],
            attributes: Attributes {
                flags: 0x85,
                xfrm: 7,
            },
            misc_select: 1,
            isv_prod_id: 3,
            isv_svn: 4,
            config_id: [5; 64],
            config_svn: 6,
            isv_ext_prod_id: [7; 16],
            isv_family_id: [8; 16],
        }
    }

    #[test]
    fn what_the_processor_reports_the_machine_quotes() {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(directory.path()).unwrap();
        let processor = machine.start_processor().unwrap();
        let report = processor
            .report(&identity(), &machine.quoting_target(), &[9; 64])
            .unwrap();
        let decoded = Report::from_bytes(&report);
        assert_eq!(decoded.enclave, identity());
        assert_eq!(decoded.report_data, [9; 64]);
        assert!(machine.quote(&report).is_ok());

        // For another enclave than the one that makes quotes, and for none at all.
        let mut target = machine.quoting_target();
        target[0] ^= 1;
        let report = processor.report(&identity(), &target, &[9; 64]).unwrap();
        assert!(machine.quote(&report).is_err());
        let refused = processor.report(&identity(), &[0xff; 512], &[9; 64]);
        assert_eq!(refused, Err(Refusal::GeneralProtection));
    }

    #[test]
    fn keys_are_the_enclaves_own_and_refusals_have_codes() {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(directory.path()).unwrap();
        let processor = machine.start_processor().unwrap();
        let request = KeyRequest {
            key_name: 3,
            ..KeyRequest::from_bytes(&[0; KeyRequest::SIZE]).unwrap()
        }
        .to_bytes();
        let own = processor.key(&identity(), &request).unwrap();
        assert_eq!(processor.key(&identity(), &request), Ok(own));
        let other = EnclaveIdentity {
            mrenclave: [0; 32],
            ..identity()
        };
        assert_ne!(processor.key(&other, &request), Ok(own));
        let mut launch_key = request;
        launch_key[0] = 0;
        assert_eq!(
            processor.key(&identity(), &launch_key),
            Err(Refusal::Status(2))
        );
    }
}
