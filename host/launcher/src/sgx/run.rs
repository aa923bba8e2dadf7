//! The loop that enters an enclave, serves it, and enters it again.

use std::sync::Arc;

use enarx_wire_hostcall::call::Leave;
use enarx_wire_launch::sgx::layout;

use super::enclave::{EENTER, EEXIT, ERESUME, Enclave, Run};
use super::enter::{Left, enter};
use crate::service::{
    BlockMemory, Departure, STOPPED_STATUS, Served, Services, Starter, Stay, Threaded,
};

/// An enclave, and what its host does for it.
pub(super) struct EnclaveKeep {
    pub enclave: Arc<dyn Enclave>,
    pub services: Services,
}

/// Exceptions that the processor tells the handler in an enclave about (SDM, "EXITINFO"). Of
/// others it would learn nothing, and run into them again.
const HANDLED: [u16; 10] = [0, 1, 3, 5, 6, 13, 14, 16, 17, 19];

/// What one thread needs to be in the enclave.
pub(super) struct EnclaveStay<'a> {
    keep: &'a EnclaveKeep,
    index: u32,
    tcs: u64,
    block: BlockMemory,
    _attached: Box<dyn std::any::Any>,
}

impl Threaded for EnclaveKeep {
    type Stay<'a> = EnclaveStay<'a>;

    fn prepare(&self, index: u32) -> std::io::Result<EnclaveStay<'_>> {
        let enclave = &*self.enclave;
        Ok(EnclaveStay {
            keep: self,
            index,
            tcs: enclave.base() + layout::thread_window(index) + layout::thread::TCS,
            block: BlockMemory::new()?,
            _attached: enclave.attach_thread()?,
        })
    }

    fn services(&self) -> &Services {
        &self.services
    }
}

impl Stay for EnclaveStay<'_> {
    fn run(&self, starter: &dyn Starter) -> Departure {
        let services = &self.keep.services;
        let enclave = &*self.keep.enclave;
        let function = enclave.enter_function();
        let block = self.block.service();
        let mut run = Run::new(self.tcs);
        let mut payload = Vec::new();
        let mut leaf = EENTER;
        loop {
            let mut left = Left::default();
            // SAFETY: the function is the enclave's own, and the address is that of a thread
            // control structure that was added to it.
            let status =
                unsafe { enter(function, leaf, self.block.address(), &mut run, &mut left) };
            if status != 0 {
                let error = std::io::Error::from_raw_os_error(-status);
                return self.stopped(&format!("the enclave could not be entered: {error}"));
            }
            if run.function != EEXIT {
                if let Some(reason) = unhandled(&run, enclave.base()) {
                    return self.stopped(&reason);
                }
                // The handler in the enclave has a look.
                leaf = EENTER;
                continue;
            }
            leaf = match Leave::from_code(left.rdi) {
                Some(Leave::Call) => EENTER,
                Some(Leave::Resume) => ERESUME,
                Some(Leave::ThreadEnded) => return Departure::ThreadEnded,
                Some(Leave::Abort) => {
                    return self.stopped(&format!("it refuses to go on (reason {})", left.rsi));
                }
                None => return self.stopped(&format!("it was left with code {}", left.rdi)),
            };
            if leaf == ERESUME {
                continue;
            }
            let request = match block.request() {
                Ok(request) => request,
                Err(error) => return self.stopped(&error.to_string()),
            };
            payload.clear();
            payload.resize(request.length, 0);
            block.payload(&mut payload);
            match services.serve(self.index, &request, &mut payload, starter) {
                Served::Answer(result) => block.answer(&request, result, &payload),
                Served::Exit(status) => return Departure::Exit(status),
            }
        }
    }
}

impl EnclaveStay<'_> {
    fn stopped(&self, reason: &str) -> Departure {
        let text = format!("the Keep was stopped in thread {}: {reason}\n", self.index);
        self.keep.services.diagnose(&text);
        Departure::Exit(STOPPED_STATUS)
    }
}

/// Why the handler in the enclave cannot see to the exception in `run`, if it cannot.
fn unhandled(run: &Run, base: u64) -> Option<String> {
    let entering = run.function == EENTER;
    if !entering && HANDLED.contains(&run.exception_vector) {
        return None;
    }
    let what = if entering {
        "the enclave refused to be entered"
    } else {
        "an exception that its handler cannot see"
    };
    let at = match run.exception_address.checked_sub(base) {
        Some(offset) if offset < layout::ENCLAVE_SIZE => format!("offset {offset:#x}"),
        _ => format!("address {:#x}", run.exception_address),
    };
    Some(format!(
        "{what}: vector {}, error code {:#x}, {at}",
        run.exception_vector, run.exception_error_code
    ))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
