//! What a virtual machine alone asks of its host.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use enarx_wire_hostcall::attestation::{
    AnswerHeader, DIGEST_SIZE, Operation as DeviceOperation, REPORT_DATA_SIZE, RequestHeader,
};
use enarx_wire_hostcall::call::{Operation, Request};
use enarx_wire_launch::vm::layout;
use rustix::io::Errno;

use super::memory::Memory;
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

/// What a machine is served with.
pub(super) struct MachineServices {
    evidence: DeviceEvidence,
    /// Its private memory, if it can give some of it back.
    private: Option<Arc<Memory>>,
}

impl MachineServices {
    pub(super) fn new(evidence: DeviceEvidence, private: Option<Arc<Memory>>) -> Self {
        Self { evidence, private }
    }

    fn take_back(&self, address: u64, bytes: u64) -> Result<u64, Errno> {
        let private = self.private.as_ref().ok_or(Errno::NOSYS)?;
        let offset = address.checked_sub(layout::PRIVATE).ok_or(Errno::INVAL)?;
        let taken = private.give_back(offset, bytes);
        taken.map(|()| 0).map_err(|_| Errno::INVAL)
    }
}

impl Technology for MachineServices {
    fn answer(
        &self,
        request: &Request,
        payload: &mut Vec<u8>,
        diagnostics: &Diagnostics,
    ) -> Result<u64, Errno> {
        match request.operation {
            Operation::Evidence => {}
            Operation::GiveBack => {
                payload.clear();
                return self.take_back(request.arguments[0], request.arguments[1]);
            }
            _ => return Err(Errno::NOSYS),
        }
        let report_data = payload.as_slice().try_into().map_err(|_| Errno::INVAL)?;
        match self.evidence.evidence(report_data) {
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
        let services = MachineServices::new(DeviceEvidence::new(ours), None);
        let keep = Asked::new(Box::new(services));
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

    #[test]
    fn whole_pages_of_private_memory_are_taken_back_and_nothing_else() {
        const PAGE: u64 = 4096;
        let memory = Arc::new(Memory::new(4 * PAGE).unwrap());
        let page = |index: usize| {
            // SAFETY: within the memory, which nobody else uses.
            unsafe { memory.base().add(index * PAGE as usize).cast::<u64>() }
        };
        // SAFETY: as above.
        (0..4).for_each(|index| unsafe { page(index).write(7) });
        let ask = |private: Option<&Arc<Memory>>, address, bytes| {
            let (ours, _) = UnixStream::pair().unwrap();
            let evidence = DeviceEvidence::new(ours);
            let keep = Asked::new(Box::new(MachineServices::new(evidence, private.cloned())));
            keep.ask(Operation::GiveBack, &[address, bytes], &[])
        };
        let first = layout::PRIVATE;
        for (address, bytes) in [
            (first - PAGE, PAGE),
            (first + 1, PAGE),
            (first, PAGE - 1),
            (first, 5 * PAGE),
            (first + 4 * PAGE, PAGE),
            (u64::MAX - PAGE + 1, PAGE),
            (first, u64::MAX - PAGE + 1),
            (0, 0),
        ] {
            let refused = ask(Some(&memory), address, bytes);
            assert_eq!(refused, error(libc::EINVAL), "{address:#x}, {bytes:#x}");
        }
        assert_eq!(ask(Some(&memory), first + PAGE, 2 * PAGE), (0, Vec::new()));
        // SAFETY: as above.
        let left = [0, 1, 2, 3].map(|index| unsafe { page(index).read() });
        assert_eq!(left, [7, 0, 0, 7]);
        assert_eq!(ask(None, first, PAGE), error(libc::ENOSYS));
    }
}
