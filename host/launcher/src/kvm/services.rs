//! What a virtual machine alone asks of its host.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use enarx_wire_hostcall::attestation::{
    AnswerHeader, DIGEST_SIZE, Operation as DeviceOperation, REPORT_DATA_SIZE, RequestHeader,
};
use enarx_wire_hostcall::call::{Operation, Request};
use rustix::io::Errno;

use crate::service::{Diagnostics, Technology};

/// Evidence from the launcher's attestation device.
pub(super) struct DeviceEvidence(Mutex<UnixStream>);

impl DeviceEvidence {
    /// Evidence from the device at the other end of `stream`.
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Evidence over `report_data`.
    pub(super) fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> io::Result<Vec<u8>> {
        self.ask(DeviceOperation::Evidence, report_data)
    }

    /// Has evidence tell of `digest` from now on.
    pub(super) fn extend(&self, digest: &[u8; DIGEST_SIZE]) -> io::Result<()> {
        self.ask(DeviceOperation::Extend, digest).map(drop)
    }

    fn ask(&self, operation: DeviceOperation, payload: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let header = RequestHeader { operation };
        stream.write_all(&[&header.encode()[..], payload].concat())?;
        let mut header = [0; AnswerHeader::SIZE];
        stream.read_exact(&mut header)?;
        let header = AnswerHeader::decode(header).map_err(io::Error::other)?;
        let mut answer = vec![0; header.length as usize];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl Technology for DeviceEvidence {
    fn answer(
        &self,
        request: &Request,
        payload: &mut Vec<u8>,
        diagnostics: &Diagnostics,
    ) -> Result<u64, Errno> {
        if request.operation != Operation::Evidence {
            return Err(Errno::NOSYS);
        }
        let report_data = payload.as_slice().try_into().map_err(|_| Errno::INVAL)?;
        match self.evidence(report_data) {
            Ok(evidence) => {
                *payload = evidence;
                Ok(0)
            }
            Err(error) => {
                diagnostics.write(format!("no evidence for the Keep: {error}\n").as_bytes());
                Err(Errno::IO)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Asked, error};

    #[test]
    fn evidence_is_the_devices_and_nothing_else_is_served() {
        let (ours, mut device) = UnixStream::pair().unwrap();
        let keep = Asked::new(Box::new(DeviceEvidence::new(ours)));
        let answered = std::thread::spawn(move || {
            let mut request = [0; RequestHeader::SIZE + REPORT_DATA_SIZE];
            device.read_exact(&mut request).unwrap();
            assert_eq!(request[RequestHeader::SIZE..], [7; REPORT_DATA_SIZE]);
            let header = AnswerHeader::new(4).unwrap().encode();
            device.write_all(&[&header[..], b"mine"].concat()).unwrap();
            device.read_exact(&mut request).unwrap();
            device.write_all(&AnswerHeader::refusal()).unwrap();
        });
        let ask = |payload: &[u8]| keep.ask(Operation::Evidence, &[], payload);
        assert_eq!(ask(&[7; REPORT_DATA_SIZE]), (0, b"mine".to_vec()));
        assert_eq!(ask(b"too short"), error(libc::EINVAL));
        assert_eq!(ask(&[8; REPORT_DATA_SIZE]), error(libc::EIO));
        answered.join().unwrap();
        // The device is gone.
        assert_eq!(ask(&[9; REPORT_DATA_SIZE]), error(libc::EIO));
        assert_eq!(keep.ask(Operation::Quote, &[], b""), error(libc::ENOSYS));
        assert!(keep.outside.diagnostics().contains("no evidence"));
    }
}
