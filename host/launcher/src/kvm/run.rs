//! The loop that runs a virtual processor, serves it, and runs it again.

use std::io;

use enarx_wire_hostcall::call::Leave;

use super::machine::Machine;
use super::processor::{Exit, Processor};
use crate::service::{Departure, STOPPED_STATUS, Served, Services, Starter, Stay, Threaded};

/// A machine, and what its host does for it.
pub(super) struct MachineKeep {
    pub machine: Machine,
    pub services: Services,
}

impl Threaded for MachineKeep {
    type Stay<'a> = MachineStay<'a>;

    fn prepare(&self, index: u32) -> io::Result<MachineStay<'_>> {
        Ok(MachineStay {
            keep: self,
            index,
            processor: self.machine.processor(index)?,
        })
    }

    fn services(&self) -> &Services {
        &self.services
    }
}

/// One thread's virtual processor.
pub(super) struct MachineStay<'a> {
    keep: &'a MachineKeep,
    index: u32,
    processor: Processor,
}

impl Stay for MachineStay<'_> {
    fn run(&self, starter: &dyn Starter) -> Departure {
        let block = self.keep.machine.block(self.index);
        let mut payload = Vec::new();
        loop {
            let value = match self.processor.run() {
                Exit::Doorbell(value) => value,
                Exit::Other(what) => return self.stopped(&format!("its machine left by {what}")),
            };
            match Leave::from_code(u64::from(value & 0xFF)) {
                Some(Leave::Call) => {}
                Some(Leave::ThreadEnded) => return Departure::ThreadEnded,
                Some(Leave::Abort) => {
                    return self.stopped(&format!("it refuses to go on (reason {})", value >> 8));
                }
                Some(Leave::Resume) | None => {
                    return self.stopped(&format!("its doorbell had the value {value:#x}"));
                }
            }
            let request = match block.request() {
                Ok(request) => request,
                Err(error) => return self.stopped(&error.to_string()),
            };
            payload.clear();
            payload.resize(request.length, 0);
            block.payload(&mut payload);
            match self
                .keep
                .services
                .serve(self.index, &request, &mut payload, starter)
            {
                Served::Answer(result) => block.answer(&request, result, &payload),
                Served::Exit(status) => return Departure::Exit(status),
            }
        }
    }
}

impl MachineStay<'_> {
    fn stopped(&self, reason: &str) -> Departure {
        let text = format!("the Keep was stopped in thread {}: {reason}\n", self.index);
        self.keep.services.diagnose(&text);
        Departure::Exit(STOPPED_STATUS)
    }
}
