//! The attestation device: the runtime's TEE.

use std::os::fd::OwnedFd;

use enarx_wire_hostcall::attestation::{
    AnswerHeader, DIGEST_SIZE, DeviceError, Operation, REPORT_DATA_SIZE, RequestHeader,
};
use enarx_wire_launch::{LaunchPage, LaunchPageError};
use rustix::io::Errno;

/// The stream to the TEE.
pub struct AttestationDevice {
    descriptor: OwnedFd,
}

impl AttestationDevice {
    /// Takes the stream.
    pub const fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }

    /// Asks for the launch page that was measured into this Keep.
    ///
    /// # Errors
    ///
    /// [`AttestationError`] when the TEE is gone.
    pub fn describe(&self) -> Result<Described<'_>, AttestationError> {
        self.request(Operation::Describe, &[])?;
        Ok(Described { device: self })
    }

    /// Evidence over `report_data`, in the platform's format.
    ///
    /// # Errors
    ///
    /// [`AttestationError`] when the TEE gives none.
    pub fn evidence(
        &self,
        report_data: &[u8; REPORT_DATA_SIZE],
    ) -> Result<Vec<u8>, AttestationError> {
        self.ask(Operation::Evidence, report_data)
    }

    /// Has evidence tell of `digest` from now on, where the platform has a register for that.
    ///
    /// # Errors
    ///
    /// [`AttestationError`] when the TEE refuses.
    pub fn extend(&self, digest: &[u8; DIGEST_SIZE]) -> Result<(), AttestationError> {
        self.ask(Operation::Extend, digest).map(drop)
    }

    fn ask(&self, operation: Operation, payload: &[u8]) -> Result<Vec<u8>, AttestationError> {
        self.request(operation, payload)?;
        self.answer()
    }

    fn request(&self, operation: Operation, payload: &[u8]) -> Result<(), AttestationError> {
        let header = RequestHeader { operation }.encode();
        let request = [header.as_slice(), payload].concat();
        let mut rest = request.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.descriptor, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn answer(&self) -> Result<Vec<u8>, AttestationError> {
        let mut header = [0; AnswerHeader::SIZE];
        self.fill(&mut header)?;
        let mut answer = vec![0; AnswerHeader::decode(header)?.length as usize];
        self.fill(&mut answer)?;
        Ok(answer)
    }

    fn fill(&self, mut buffer: &mut [u8]) -> Result<(), AttestationError> {
        while !buffer.is_empty() {
            match rustix::io::read(&self.descriptor, &mut *buffer) {
                Ok(0) => return Err(AttestationError::Closed),
                Ok(count) => buffer = &mut buffer[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A TEE that was asked for the launch page, and answers meanwhile.
pub struct Described<'a> {
    device: &'a AttestationDevice,
}

impl Described<'_> {
    /// The launch page.
    ///
    /// # Errors
    ///
    /// [`AttestationError`] when the TEE gives none.
    pub fn launch_page(self) -> Result<LaunchPage, AttestationError> {
        Ok(LaunchPage::decode(&self.device.answer()?)?)
    }
}

/// Why the TEE did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// The device was closed.
    #[error("the attestation device is gone")]
    Closed,
    /// The device refused, or answered what it must not.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The launch page is not one.
    #[error(transparent)]
    LaunchPage(#[from] LaunchPageError),
    /// The system refused to transfer bytes.
    #[error("the attestation device failed ({0})")]
    Failed(#[from] Errno),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    fn asked(answer: &'static [u8]) -> Result<Vec<u8>, AttestationError> {
        let (keep, mut tee) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let mut request = [0; 8 + REPORT_DATA_SIZE];
            tee.read_exact(&mut request).unwrap();
            assert_eq!(request[..8], [2, 0, 0, 0, 64, 0, 0, 0]);
            tee.write_all(answer).unwrap();
        });
        let evidence = AttestationDevice::new(keep.into()).evidence(&[7; REPORT_DATA_SIZE]);
        server.join().unwrap();
        evidence
    }

    #[test]
    fn answers_are_taken_and_bounded() {
        assert_eq!(asked(&[0, 0, 0, 0, 2, 0, 0, 0, 8, 9]).unwrap(), [8, 9]);
        assert!(matches!(
            asked(&[1, 0, 0, 0, 0, 0, 0, 0]),
            Err(AttestationError::Device(DeviceError::Refused(1)))
        ));
        assert!(matches!(
            asked(&[0, 0, 0, 0, 1, 0, 1, 0]),
            Err(AttestationError::Device(DeviceError::WrongLength(0x1_0001)))
        ));
        assert!(matches!(
            asked(&[0, 0, 0, 0, 2, 0, 0, 0, 8]),
            Err(AttestationError::Closed)
        ));
    }
}
