//! What an enclave alone asks of its host.

use std::io;
use std::sync::Arc;

use enarx_wire_hostcall::call::{Operation, PAYLOAD_SIZE, Request};
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::sgx::{SecInfo, layout};
use rustix::io::Errno;

use super::enclave::Enclave;
use crate::service::{Diagnostics, Technology};

/// Makes quotes of an enclave's reports.
pub trait Quoting: Send + Sync {
    /// TARGETINFO of the enclave that makes quotes.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    fn target(&self) -> io::Result<[u8; 512]>;

    /// A quote of the REPORT in `report`.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>>;
}

/// An enclave, and who makes quotes of its reports.
pub(super) struct EnclaveServices {
    pub enclave: Arc<dyn Enclave>,
    pub quoting: Box<dyn Quoting>,
}

impl Technology for EnclaveServices {
    fn answer(
        &self,
        request: &Request,
        payload: &mut Vec<u8>,
        diagnostics: &Diagnostics,
    ) -> Result<u64, Errno> {
        // The Keep learns that it failed, and the operator why.
        let told = |error: io::Error| {
            diagnostics.write(format!("no quote of the Keep's report: {error}\n").as_bytes());
            Errno::from_io_error(&error).unwrap_or(Errno::IO)
        };
        let [first, second, third, _] = request.arguments;
        match request.operation {
            Operation::QuoteTarget => {
                payload.clear();
                payload.extend(self.quoting.target().map_err(told)?);
                Ok(0)
            }
            Operation::Quote => {
                let quote = self.quoting.quote(payload).map_err(told)?;
                if quote.len() > PAYLOAD_SIZE {
                    return Err(Errno::TOOBIG);
                }
                *payload = quote;
                Ok(0)
            }
            Operation::Restrict => {
                payload.clear();
                self.restrict(first, second, third)
            }
            Operation::Trim | Operation::Remove => {
                payload.clear();
                self.remove(request.operation, first, second)
            }
            _ => Err(Errno::NOSYS),
        }
    }
}

impl EnclaveServices {
    fn restrict(&self, offset: u64, pages: u64, access: u64) -> Result<u64, Errno> {
        const ALL: u64 = SecInfo::READ | SecInfo::WRITE | SecInfo::EXECUTE;
        if !is_in_enclave(offset, pages) || access & !ALL != 0 {
            return Err(Errno::INVAL);
        }
        changed(self.enclave.restrict(offset, pages, access))
    }

    fn remove(&self, operation: Operation, offset: u64, pages: u64) -> Result<u64, Errno> {
        if !is_in_enclave(offset, pages) {
            return Err(Errno::INVAL);
        }
        changed(match operation {
            Operation::Trim => self.enclave.trim(offset, pages),
            _ => self.enclave.remove(offset, pages),
        })
    }
}

/// Whether so many pages from an offset are the enclave's.
fn is_in_enclave(offset: u64, pages: u64) -> bool {
    let end = pages
        .checked_mul(PAGE_SIZE as u64)
        .and_then(|size| size.checked_add(offset));
    end.is_some_and(|end| end <= layout::ENCLAVE_SIZE) && offset.is_multiple_of(PAGE_SIZE as u64)
}

fn changed(outcome: io::Result<()>) -> Result<u64, Errno> {
    match outcome {
        Ok(()) => Ok(0),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::fake::{FakeEnclave, REMOVE, TRIM, technology};
    use super::*;
    use crate::service::{Asked, error};

    #[test]
    fn evidence_comes_from_whoever_makes_quotes() {
        let keep = Asked::new(technology(FakeEnclave::new()));
        assert_eq!(
            keep.ask(Operation::QuoteTarget, &[], b""),
            (0, vec![0x51; 512])
        );
        assert_eq!(
            keep.ask(Operation::Quote, &[], b"report"),
            (0, b"reportreport".to_vec())
        );
        assert_eq!(
            keep.ask(Operation::Quote, &[], &vec![1; PAYLOAD_SIZE]),
            error(libc::E2BIG)
        );
        assert_eq!(keep.ask(Operation::Quote, &[], b""), error(libc::EIO));
        assert!(keep.outside.diagnostics().contains("no report"));
        assert_eq!(
            keep.ask(Operation::Evidence, &[], &[0; 64]),
            error(libc::ENOSYS)
        );
    }

    #[test]
    fn pages_change_within_the_enclave() {
        let enclave = FakeEnclave::new();
        let restricted = Arc::clone(&enclave.restricted);
        let keep = Asked::new(technology(enclave));
        assert_eq!(
            keep.ask(Operation::Restrict, &[0x1000, 2, 1], b""),
            (0, vec![])
        );
        assert_eq!(*restricted.lock().unwrap(), [(0x1000, 2, 1)]);
        let removed = [
            keep.ask(Operation::Trim, &[0x3000, 1], b""),
            keep.ask(Operation::Remove, &[0x3000, 1], b""),
        ];
        assert_eq!(removed, [(0, vec![]), (0, vec![])]);
        assert_eq!(
            restricted.lock().unwrap()[1..],
            [(0x3000, 1, TRIM), (0x3000, 1, REMOVE)]
        );
        for operation in [Operation::Trim, Operation::Remove] {
            for arguments in [
                [0x1001, 1],
                [layout::ENCLAVE_SIZE, 1],
                [0x1000, u64::MAX],
                [u64::MAX - 0xfff, 1],
            ] {
                assert_eq!(keep.ask(operation, &arguments, b""), error(libc::EINVAL));
            }
        }
        for arguments in [
            [0x1001, 2, 1],
            [0, layout::ENCLAVE_SIZE / 4096 + 1, 1],
            [layout::ENCLAVE_SIZE, 1, 1],
            [0x1000, u64::MAX, 1],
            [u64::MAX - 0xfff, 1, 1],
            [0x1000, 2, 8],
        ] {
            assert_eq!(
                keep.ask(Operation::Restrict, &arguments, b""),
                error(libc::EINVAL)
            );
        }
        assert_eq!(
            keep.ask(Operation::Restrict, &[0, 0, 1], b""),
            error(libc::EPERM)
        );
    }
}
